// Which setting is fastest, from times that were taken in turns. No engine here.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "acceptance/stats.h"

namespace kakeya::cli {

// Milliseconds a token of one setting: by prompt, then by round. Settings that were left out after some
// rounds have fewer; a prompt has the same number of rounds as the others of its setting.
using TimeSamples = std::vector<std::vector<double>>;

enum class Standing {
  kBest,       // the shortest time
  kEqual,      // certainly no slower than the best by more than `tie`
  kUndecided,  // the interval holds both
  kSlower,     // certainly slower than some other, by more than `tie`
};
const char* to_string(Standing standing);  // "best", "equal", "undecided", "slower"

struct TimeVerdict {
  acceptance::Interval ratio;  // time over that of the best: 95 %
  Standing standing = Standing::kBest;
};

// The ratio of two settings: per prompt the median over rounds of the logarithm of the ratio within a round,
// so that a slow minute counts on both sides; then the mean over prompts with Student's t interval. Two
// prompts at least, or nothing is certain.
acceptance::Interval time_ratio(const TimeSamples& setting, const TimeSamples& other);

// The best has the smallest ratio to the first setting.
std::vector<TimeVerdict> compare_times(const std::vector<TimeSamples>& settings, double tie);
bool decided(const std::vector<TimeVerdict>& verdicts);

double median_time(const TimeSamples& setting);  // over prompts, of the medians over rounds

// Student's t: the value that 97.5 % stay below.
double t_quantile_975(std::size_t degrees_of_freedom);

}  // namespace kakeya::cli
