// What a model will need, from its config alone: asked before anything is opened or allocated.
#pragma once
#include <cstddef>
#include <cstdint>

#include "formats/model_config.h"
#include "kernels/kernels.h"

namespace kakeya::model {

struct MemoryEstimate {
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;        // mapped from the file, not copied
  std::uint64_t kv_bytes_per_token = 0;  // K and V of all layers
  std::uint64_t scratch_bytes = 0;       // at the largest chunk
};

// kv_bits_per_vector: allocated bits of one K or V vector in the chosen channel (bf16: 16 * head_dim).
MemoryEstimate estimate_memory(const formats::ModelConfig& config, kernels::WeightType weights,
                               double kv_bits_per_vector);

}  // namespace kakeya::model
