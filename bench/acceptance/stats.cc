#include "acceptance/stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kakeya::acceptance {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform, unlike std distributions.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // Uniform in [0, n) from the upper 32 bits; the bias is below n / 2^32.
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32); }

 private:
  std::uint64_t state_;
};

double ratio_of_sums(std::span<const Ratio> prompts, std::span<const std::uint32_t> chosen) {
  double numerator = 0, denominator = 0;
  for (const std::uint32_t i : chosen) {
    numerator += prompts[i].numerator;
    denominator += prompts[i].denominator;
  }
  return denominator == 0 ? kNan : numerator / denominator;
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return kNan;
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(rank));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (rank - static_cast<double>(below)) * (values[above] - values[below]);
}

double mean(std::span<const double> values) {
  if (values.empty()) return kNan;
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

Interval bootstrap(std::size_t n, const Statistic& statistic, const BootstrapOptions& options) {
  if (n == 0) return {kNan, kNan, kNan};
  std::vector<std::uint32_t> chosen(n);
  for (std::size_t i = 0; i < n; ++i) chosen[i] = static_cast<std::uint32_t>(i);
  const double estimate = statistic(chosen);

  SplitMix64 random(options.seed);
  std::vector<double> values;
  values.reserve(options.resamples);
  for (std::size_t r = 0; r < options.resamples; ++r) {
    for (auto& index : chosen) index = random.below(static_cast<std::uint32_t>(n));
    const double value = statistic(chosen);
    if (std::isfinite(value)) values.push_back(value);
  }
  const double tail = (1.0 - options.level) / 2;
  return {estimate, quantile(values, tail), quantile(values, 1.0 - tail)};
}

Interval bootstrap_ratio(std::span<const Ratio> prompts, const BootstrapOptions& options) {
  return bootstrap(
      prompts.size(), [&](std::span<const std::uint32_t> chosen) { return ratio_of_sums(prompts, chosen); },
      options);
}

Interval bootstrap_ratio_difference(std::span<const Ratio> a, std::span<const Ratio> b,
                                    const BootstrapOptions& options) {
  return bootstrap(
      std::min(a.size(), b.size()),
      [&](std::span<const std::uint32_t> chosen) {
        return ratio_of_sums(a, chosen) - ratio_of_sums(b, chosen);
      },
      options);
}

Interval bootstrap_mean(std::span<const double> prompts, const BootstrapOptions& options) {
  return bootstrap(
      prompts.size(),
      [&](std::span<const std::uint32_t> chosen) {
        double sum = 0;
        for (const std::uint32_t i : chosen) sum += prompts[i];
        return sum / static_cast<double>(chosen.size());
      },
      options);
}

}  // namespace kakeya::acceptance
