// Summaries of a handful of samples.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace kakeya::speed {

double average(std::span<const double> values);    // 0 for no values
double deviation(std::span<const double> values);  // of a sample: divided by n - 1; 0 for fewer than two
double median(std::span<const double> values);     // mean of the middle two where their number is even
double smallest(std::span<const double> values);

// How many drafts stand in each cycle of `width` rows: each stands with one probability until the first that
// does not, chosen so that a cycle emits `mean` tokens on average (the target's own token counted). Cycles
// are drawn until `tokens` are emitted. 1 <= mean <= width, width >= 2.
std::vector<std::uint32_t> draw_accepted(double mean, std::size_t width, std::size_t tokens,
                                         std::uint64_t seed);

}  // namespace kakeya::speed
