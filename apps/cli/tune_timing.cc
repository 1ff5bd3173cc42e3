#include "cli/tune_timing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace kakeya::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

const char* to_string(Standing standing) {
  switch (standing) {
    case Standing::kBest:
      return "best";
    case Standing::kEqual:
      return "equal";
    case Standing::kUndecided:
      return "undecided";
    case Standing::kSlower:
      break;
  }
  return "slower";
}

double t_quantile_975(std::size_t n) {
  // The usual table up to 10; beyond, the expansion about the normal quantile (Abramowitz and Stegun 26.7.5),
  // which is right to three decimals there.
  constexpr std::array kTable = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  if (n == 0) return kInfinity;
  if (n <= kTable.size()) return kTable[n - 1];
  constexpr double z = 1.959964;
  const double v = static_cast<double>(n);
  const double z3 = z * z * z, z5 = z3 * z * z;
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v);
}

acceptance::Interval time_ratio(const TimeSamples& setting, const TimeSamples& other) {
  std::vector<double> logs;
  for (std::size_t p = 0; p < std::min(setting.size(), other.size()); ++p) {
    std::vector<double> rounds;
    for (std::size_t r = 0; r < std::min(setting[p].size(), other[p].size()); ++r) {
      rounds.push_back(std::log(setting[p][r] / other[p][r]));
    }
    if (!rounds.empty()) logs.push_back(acceptance::quantile(rounds, 0.5));
  }
  if (logs.empty()) return {std::numeric_limits<double>::quiet_NaN(), 0, kInfinity};
  const double mean = acceptance::mean(logs);
  double squares = 0;
  for (const double log : logs) squares += (log - mean) * (log - mean);
  const double n = static_cast<double>(logs.size());
  if (logs.size() < 2) return {std::exp(mean), 0, kInfinity};
  const double reach = t_quantile_975(logs.size() - 1) * std::sqrt(squares / (n - 1) / n);
  return {std::exp(mean), std::exp(mean - reach), std::exp(mean + reach)};
}

std::vector<TimeVerdict> compare_times(const std::vector<TimeSamples>& settings, double tie) {
  std::size_t best = 0;
  double shortest = 1;
  for (std::size_t i = 1; i < settings.size(); ++i) {
    const double ratio = time_ratio(settings[i], settings[0]).estimate;
    if (!(ratio < shortest)) continue;
    shortest = ratio;
    best = i;
  }
  std::vector<TimeVerdict> out;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    TimeVerdict& verdict = out.emplace_back();
    verdict.ratio = {1, 1, 1};
    if (i == best) continue;
    verdict.ratio = time_ratio(settings[i], settings[best]);
    const bool beaten = std::ranges::any_of(settings, [&](const TimeSamples& other) {
      return &other != &settings[i] && time_ratio(settings[i], other).low > 1 + tie;
    });
    verdict.standing = beaten                          ? Standing::kSlower
                       : verdict.ratio.high <= 1 + tie ? Standing::kEqual
                                                       : Standing::kUndecided;
  }
  return out;
}

bool decided(const std::vector<TimeVerdict>& verdicts) {
  return std::ranges::none_of(verdicts,
                              [](const TimeVerdict& v) { return v.standing == Standing::kUndecided; });
}

double median_time(const TimeSamples& setting) {
  std::vector<double> values;
  for (const std::vector<double>& rounds : setting) {
    if (!rounds.empty()) values.push_back(acceptance::quantile(rounds, 0.5));
  }
  return acceptance::quantile(values, 0.5);
}

}  // namespace kakeya::cli
