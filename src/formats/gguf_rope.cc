// llama.cpp keeps only the result of "llama3" RoPE scaling, a divisor per frequency; here its parameters are
// found again. Formula: transformers, _compute_llama3_parameters.
#include <cmath>
#include <numbers>

#include "formats/gguf_config.h"

namespace kakeya::formats {
namespace {

// Divisor of the frequency of pair `i` of `pairs`.
double divisor(std::size_t i, std::size_t pairs, double theta, const RopeScaling& s) {
  const double exponent = static_cast<double>(i) / static_cast<double>(pairs);
  const double wavelength = 2 * std::numbers::pi * std::pow(theta, exponent);
  if (wavelength < s.original_max_position / s.high_freq_factor) return 1;
  if (wavelength > s.original_max_position / s.low_freq_factor) return s.factor;
  const double smooth =
      (s.original_max_position / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return 1 / ((1 - smooth) / s.factor + smooth);
}

bool agrees(std::span<const float> factors, double theta, const RopeScaling& scaling) {
  constexpr double kTolerance = 1e-4;  // float32 arithmetic of the writer
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const double expected = divisor(i, factors.size(), theta, scaling);
    if (!(std::abs(factors[i] - expected) <= kTolerance * expected)) return false;
  }
  return true;
}

}  // namespace

std::optional<RopeScaling> scaling_of_factors(std::span<const float> factors, double theta, double original) {
  RopeScaling out;
  if (factors.empty()) return out;
  float largest = 1;
  for (const float f : factors) {
    if (!(f >= 1 && f <= 1e6f)) return std::nullopt;
    largest = std::max(largest, f);
  }
  if (largest == 1) return out;
  // Every published Llama has low 1, high 4 and 8192 positions; only their ratios matter.
  out.llama3 = true;
  out.factor = largest;
  for (const double positions : {original, 8192.0}) {
    out.original_max_position = positions;
    if (positions >= 1 && agrees(factors, theta, out)) return out;
  }
  return std::nullopt;
}

}  // namespace kakeya::formats
