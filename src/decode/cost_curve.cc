// Quantiles, interpolation and guesses.
#include "decode/cost_curve.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kakeya::decode {
namespace {

// Plain steps that make a measurement.
constexpr std::size_t kPlainSamples = 3;
constexpr std::size_t kConfirmedSamples = 2;
constexpr std::size_t kKeptSamples = 3;
constexpr double kFirstBelief = 2;  // times the bound
// A refresh changes other points by no more than this: beyond it a measurement is broken, not the machine.
constexpr double kMaxRescale = 8;

// Costs of what was never measured, in plain steps. Guesses are near the measurements of quantised models on
// two cores (8 rows 1.45, 16 rows 1.8 plain steps; a draft pass 0.3 to 0.5; observing 0.002 to 0.015 a row);
// bounds are what a risk is judged by.
struct Unmeasured {
  double per_row, draft, per_draft_row, observe, observe_row;
};
constexpr Unmeasured kGuess = {0.06, 0.3, 0.01, 0.01, 0.002}, kBound = {0.1, 0.45, 0.02, 0.02, 0.005};
constexpr const Unmeasured& unmeasured(bool sure) { return sure ? kBound : kGuess; }

// Rows that share a point of the observe table: few exact points, then powers of two.
std::size_t observe_point(std::size_t rows) { return rows <= 4 ? rows : std::bit_ceil(rows); }

// Of passes of target and draft: rows of one block are told apart, sums of several by their sixteenth.
constexpr std::size_t kExactRows = 32, kRowStep = 16;
std::size_t pass_point(std::size_t rows) {
  return rows <= kExactRows ? rows : (rows + kRowStep - 1) / kRowStep * kRowStep;
}
double scaled(double ms, std::size_t rows, std::size_t point) {
  return ms * static_cast<double>(point) / static_cast<double>(rows);
}

}  // namespace

void TimeWindow::add(double ms, std::uint64_t stamp) {
  samples_[next_] = ms;
  next_ = (next_ + 1) % kSamples;
  size_ = std::min(size_ + 1, kSamples);
  stamp_ = stamp;
  auto sorted = samples_;
  for (std::size_t i = size_; i < kSamples; ++i) sorted[i] = HUGE_VAL;
  std::sort(sorted.begin(), sorted.end());
  typical_ = sorted[(size_ - 1) / 3];
}

void TimeWindow::scale(double factor) {
  for (double& sample : samples_) sample *= factor;
  typical_ *= factor;
}

std::size_t TimeTable::samples(std::size_t work) const {
  const auto found = windows_.find(work);
  return found == windows_.end() ? 0 : found->second.size();
}

double TimeTable::at(std::size_t work, double slope_ms, CostPoint first) const {
  CostPoint below = first;
  for (const auto& [point, window] : windows_) {
    const double ms = std::max(window.typical(), below.ms);
    if (point == work || (point > work && below.work == 0)) return ms;
    if (point > work) {
      const double share = static_cast<double>(work - below.work) / static_cast<double>(point - below.work);
      return below.ms + (ms - below.ms) * share;
    }
    below = {point, ms};
  }
  return below.ms + slope_ms * static_cast<double>(work - below.work);
}

double TimeTable::fastest_since(std::uint64_t stamp, double otherwise) const {
  for (const auto& [point, window] : windows_) {
    if (window.stamp() > stamp) otherwise = std::min(otherwise, window.typical());
  }
  return otherwise;
}

void TimeTable::drop_unconfirmed() {
  std::erase_if(windows_, [](const auto& point) { return point.second.size() < kKeptSamples; });
}

void TimeTable::scale_older(std::uint64_t stamp, double factor) {
  for (auto& [point, window] : windows_) {
    if (window.stamp() <= stamp) window.scale(factor);
  }
}

void CostCurve::add_target(std::size_t rows, double ms) {
  ++stamp_;
  if (rows < 2) {
    add_plain(ms);
  } else {
    const double bound = plain_known() ? target_ms(rows, true) : 0;
    target_.add(rows, believed(target_, rows, ms, bound), stamp_);
  }
  pool_plain();
}

double CostCurve::believed(const TimeTable& table, std::size_t work, double ms, double bound_ms) const {
  return plain_known() && table.samples(work) == 0 ? std::min(ms, kFirstBelief * bound_ms) : ms;
}

void CostCurve::drop_unconfirmed() {
  for (TimeTable* table : {&target_, &draft_, &observe_, &shared_}) table->drop_unconfirmed();
  pool_plain();
}

void CostCurve::add_plain(double ms) {
  plain_.add(ms, stamp_);
  if (plain_.size() < kPlainSamples && plain_known()) return;
  plain_ms_ = plain_.typical();
  if (!refreshing_ || plain_.size() < kPlainSamples) return;
  refreshing_ = false;
  if (before_ms_ > 0) {
    const double factor = std::clamp(plain_ms_ / before_ms_, 1 / kMaxRescale, kMaxRescale);
    for (TimeTable* table : {&target_, &draft_, &observe_, &shared_}) table->scale_older(refreshed_, factor);
  }
  refreshed_ = stamp_;
}

void CostCurve::refresh_plain() {
  before_ms_ = plain_ms_;
  plain_.clear();
  refreshing_ = true;
}

bool CostCurve::confirmed(std::size_t width) const {
  return target_.samples(width) >= kConfirmedSamples && draft_.samples(width) >= kConfirmedSamples;
}

void CostCurve::add_draft(std::size_t block, double ms) {
  const std::size_t point = pass_point(block);
  const double bound = plain_known() ? draft_ms(point, true) : 0;
  draft_.add(point, believed(draft_, point, scaled(ms, block, point), bound), ++stamp_);
}

void CostCurve::add_shared(std::size_t rows, double ms) {
  const std::size_t point = pass_point(rows);
  shared_.add(point, scaled(ms, rows, point), ++stamp_);
}

void CostCurve::add_observe(std::size_t rows, double ms) {
  const std::size_t point = observe_point(rows);
  const double bound = plain_known() ? observe_ms(point, true) : 0;
  observe_.add(point, believed(observe_, point, scaled(ms, rows, point), bound), ++stamp_);
}

// A plain step never takes longer than a newer pass of several rows: without this a plain step measured in a
// slow moment would make every later draft look like a gain.
void CostCurve::pool_plain() { pooled_plain_ms_ = target_.fastest_since(plain_.stamp(), plain_ms_); }

double CostCurve::target_ms(std::size_t rows, bool sure) const {
  const double plain = plain_ms();
  return rows < 2 ? plain : target_.at(rows, unmeasured(sure).per_row * plain, {1, plain});
}

double CostCurve::shared_ms(std::size_t rows) const {
  const double plain = plain_ms();
  if (shared_.empty() || rows < 2) return target_ms(rows);
  return shared_.at(rows, unmeasured(false).per_row * plain, {1, plain});
}

double CostCurve::draft_ms(std::size_t block, bool sure) const {
  const Unmeasured& cost = unmeasured(sure);
  const double slope = cost.per_draft_row * plain_ms();
  if (!draft_.empty()) return draft_.at(block, slope);
  return cost.draft * plain_ms() + slope * static_cast<double>(block);
}

double CostCurve::observe_ms(std::size_t rows, bool sure) const {
  if (rows == 0) return 0;
  const Unmeasured& cost = unmeasured(sure);
  const double slope = cost.observe_row * plain_ms();
  if (!observe_.empty()) return observe_.at(rows, slope);
  return cost.observe * plain_ms() + slope * static_cast<double>(rows);
}

}  // namespace kakeya::decode
