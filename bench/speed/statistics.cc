#include "speed/statistics.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace kakeya::speed {
namespace {

// 1 + p + p^2 + ... + p^(width - 1)
double mean_emitted(double p, std::size_t width) {
  double sum = 0;
  for (std::size_t i = 0; i < width; ++i) sum = sum * p + 1;
  return sum;
}

}  // namespace

double average(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double deviation(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double mean = average(values);
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double median(std::span<const double> values) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double smallest(std::span<const double> values) {
  return values.empty() ? 0 : *std::min_element(values.begin(), values.end());
}

std::vector<std::uint32_t> draw_accepted(double mean, std::size_t width, std::size_t tokens,
                                         std::uint64_t seed) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (mean_emitted(middle, width) < mean ? low : high) = middle;
  }
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> out;
  for (std::size_t emitted = 0; emitted < tokens; emitted += out.back() + 1) {
    std::uint32_t accepted = 0;
    // 53 bits, so that every C++ library draws the same.
    while (accepted + 1 < width && static_cast<double>(random() >> 11) * 0x1p-53 < high) ++accepted;
    out.push_back(accepted);
  }
  return out;
}

}  // namespace kakeya::speed
