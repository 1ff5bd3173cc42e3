// Rotary frequencies and angles; equations as in transformers, modeling_rope_utils.py.
#include "model/rope.h"

#include <cmath>
#include <numbers>

namespace kakeya::model {
namespace {

// transformers, _compute_llama3_parameters: wavelengths beyond the original context are divided by `factor`,
// short ones are kept, those between are blended. float32 as there.
float llama3_scaled(float freq, const formats::RopeScaling& s) {
  const auto factor = static_cast<float>(s.factor);
  const auto low_wavelen = static_cast<float>(s.original_max_position / s.low_freq_factor);
  const auto high_wavelen = static_cast<float>(s.original_max_position / s.high_freq_factor);
  const float wavelen = static_cast<float>(2.0 * std::numbers::pi) / freq;
  if (wavelen > low_wavelen) return freq / factor;
  if (wavelen < high_wavelen) return freq;
  const float smooth =
      (static_cast<float>(s.original_max_position) / wavelen - static_cast<float>(s.low_freq_factor)) /
      static_cast<float>(s.high_freq_factor - s.low_freq_factor);
  return (1.0f - smooth) * freq / factor + smooth * freq;
}

}  // namespace

Rope::Rope(std::size_t head_dim, double theta, const formats::RopeScaling& scaling) {
  for (std::size_t i = 0; i < head_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(head_dim);
    const auto base =
        static_cast<float>(std::pow(static_cast<double>(static_cast<float>(theta)), double{exponent}));
    const float freq = 1.0f / base;
    inv_freq_.push_back(scaling.llama3 ? llama3_scaled(freq, scaling) : freq);
  }
}

void Rope::angles(std::size_t position, std::span<float> cos, std::span<float> sin) const {
  for (std::size_t i = 0; i < inv_freq_.size(); ++i) {
    const double angle = inv_freq_[i] * static_cast<float>(position);
    cos[i] = static_cast<float>(std::cos(angle));
    sin[i] = static_cast<float>(std::sin(angle));
  }
}

}  // namespace kakeya::model
