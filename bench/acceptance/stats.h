// Quantiles and bootstrap intervals. The sampling unit is always the prompt: one index = one prompt.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kakeya::acceptance {

// Linear interpolation between order statistics (type 7, numpy's default). NaN for no values; q in [0, 1].
double quantile(std::vector<double> values, double q);
double mean(std::span<const double> values);  // NaN for no values

struct Interval {
  double estimate = 0;
  double low = 0, high = 0;
};

struct BootstrapOptions {
  std::size_t resamples = 10000;
  std::uint64_t seed = 0;
  double level = 0.95;
};

// Value of a statistic on the prompts `chosen` (indices may repeat).
using Statistic = std::function<double(std::span<const std::uint32_t> chosen)>;

// Percentile bootstrap over n prompts. The same n, seed and resamples draw the same prompts, so two
// statistics are resampled together. Resamples whose value is not finite (a zero denominator) are left out.
Interval bootstrap(std::size_t n, const Statistic& statistic, const BootstrapOptions& options);

// Numerator and denominator of one prompt; the statistic is the ratio of the sums.
struct Ratio {
  double numerator = 0, denominator = 0;
};
Interval bootstrap_ratio(std::span<const Ratio> prompts, const BootstrapOptions& options);
// ratio(a) - ratio(b), paired: both sides are resampled with the same prompts. a.size() == b.size().
Interval bootstrap_ratio_difference(std::span<const Ratio> a, std::span<const Ratio> b,
                                    const BootstrapOptions& options);
Interval bootstrap_mean(std::span<const double> prompts, const BootstrapOptions& options);

}  // namespace kakeya::acceptance
