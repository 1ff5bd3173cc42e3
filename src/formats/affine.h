// Matrices that MLX stores as whole numbers with a scale and a bias per group: finds and checks their three
// tensors. Unpacks nothing.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <optional>
#include <string>

#include "formats/model_config.h"
#include "formats/safetensors.h"

namespace kakeya::formats {

// w[o][i] = scale * code + bias. Codes of `bits` bits lie in U32 words, low bits first: [out, in * bits /
// 32].
struct AffineView {
  int bits = 4;
  std::size_t group = 64;
  const TensorView* codes = nullptr;
  const TensorView* scales = nullptr;  // [out, in / group], f32, f16 or bf16
  const TensorView* biases = nullptr;  // as scales
};

// The tensors `module`.weight, .scales and .biases of a matrix [out, in] ("model.layers.0.mlp.up_proj").
// nullopt when the module is not quantised: it has no scales and its weight is not packed.
// Errors: kCorruptData naming the tensor, found and expected; kUnsupported for an `in` that is no multiple of
// the group.
Result<std::optional<AffineView>> find_affine(const TensorStore& store, const ModelConfig& config,
                                              const std::string& module, std::size_t out, std::size_t in);

}  // namespace kakeya::formats
