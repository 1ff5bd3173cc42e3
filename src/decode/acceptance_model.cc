#include "decode/acceptance_model.h"

#include <algorithm>

#include "base/check.h"

namespace kakeya::decode {
namespace {

constexpr double kKeep = 0.92;  // of the evidence, a cycle; half of it is at most 8 cycles old
// When first drafts fall in a row the text has probably changed: what stood before counts less.
constexpr double kKeepInStreak = 0.6;
constexpr std::size_t kStreak = 3;
// Before any evidence: hopeful enough that a draft is tried, weak enough that one failure is believed.
constexpr double kFirstChance = 0.7, kFirstWeight = 1;
constexpr double kPull = 1;  // cycles that the chance of the positions before counts for at each one

}  // namespace

void AcceptanceModel::record(std::size_t proposed, std::size_t accepted) {
  KAKEYA_CHECK(accepted <= proposed);
  if (proposed == 0) return;
  failures_ = accepted == 0 ? failures_ + 1 : 0;
  forget(failures_ >= kStreak ? kKeepInStreak : kKeep);
  if (tried_.size() < proposed) {
    tried_.resize(proposed, 0);
    stood_.resize(proposed, 0);
  }
  for (std::size_t i = 0; i < std::min(accepted + 1, proposed); ++i) {
    tried_[i] += 1;
    stood_[i] += i < accepted ? 1 : 0;
  }
}

void AcceptanceModel::forget(double keep) {
  for (double& count : tried_) count *= keep;
  for (double& count : stood_) count *= keep;
}

void AcceptanceModel::weaken(double cycles) {
  for (std::size_t i = 0; i < tried_.size(); ++i) {
    if (tried_[i] <= cycles) continue;
    stood_[i] *= cycles / tried_[i];
    tried_[i] = cycles;
  }
}

// Each position is pulled towards those before it: where few cycles came so far, they say what to expect.
double AcceptanceModel::expected_tokens(std::size_t width) const {
  double tokens = 1, survival = 1;
  double tried = kFirstWeight, stood = kFirstWeight * kFirstChance;
  for (std::size_t i = 0; i + 1 < width; ++i) {
    const double tried_here = i < tried_.size() ? tried_[i] : 0,
                 stood_here = i < stood_.size() ? stood_[i] : 0;
    survival *= (stood_here + kPull * stood / tried) / (tried_here + kPull);
    tokens += survival;
    tried += tried_here;
    stood += stood_here;
  }
  return tokens;
}

double AcceptanceModel::chance(std::size_t position) const {
  KAKEYA_CHECK(position >= 1);
  const auto standing = [&](std::size_t p) { return expected_tokens(p + 1) - expected_tokens(p); };
  return position == 1 ? standing(1) : standing(position) / standing(position - 1);
}

}  // namespace kakeya::decode
