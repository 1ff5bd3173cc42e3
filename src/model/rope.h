// Rotary position angles as Hugging Face transformers computes them: inverse frequencies and the product with
// the position in float32, "llama3" scaling included. The rotation itself is a kernel.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "formats/model_config.h"

namespace kakeya::model {

class Rope {
 public:
  Rope() = default;
  Rope(std::size_t head_dim, double theta, const formats::RopeScaling& scaling);

  std::size_t half() const { return inv_freq_.size(); }
  std::span<const float> inv_freq() const { return inv_freq_; }
  // Fills cos and sin, [half()] each, for one position.
  void angles(std::size_t position, std::span<float> cos, std::span<float> sin) const;

 private:
  std::vector<float> inv_freq_;
};

}  // namespace kakeya::model
