// Counts, no allocations.
#include "model/memory_estimate.h"

#include <cmath>

#include "kernels/blocks.h"
#include "model/scratch.h"

namespace kakeya::model {

MemoryEstimate estimate_memory(const formats::ModelConfig& c, kernels::WeightType weights,
                               double kv_bits_per_vector) {
  const std::uint64_t hidden = c.hidden_size, head_dim = c.head_dim;
  const std::uint64_t q_width = c.heads * head_dim, kv_width = c.kv_heads * head_dim;
  std::uint64_t layer =
      2 * hidden * q_width + 2 * hidden * kv_width + 3 * hidden * c.intermediate_size + 2 * hidden;
  if (c.architecture != formats::Architecture::kLlama) layer += 2 * head_dim;  // q_norm, k_norm

  MemoryEstimate estimate;
  estimate.parameters = c.layers * layer + hidden;
  if (c.dflash) {
    estimate.parameters += c.dflash->target_layer_ids.size() * hidden * hidden + hidden;  // fc, hidden_norm
  } else {
    estimate.parameters += c.vocab_size * hidden * (c.tie_word_embeddings ? 1 : 2);
  }
  // Vectors count like matrices here: their share is far below a thousandth.
  estimate.weight_bytes =
      estimate.parameters * kernels::block_bytes(weights) / kernels::block_values(weights);
  estimate.kv_bytes_per_token = static_cast<std::uint64_t>(
      std::ceil(kv_bits_per_vector / 8.0 * static_cast<double>(2 * c.layers * c.kv_heads)));
  estimate.scratch_bytes = Scratch::bytes_for(c, kMaxChunkRows);
  return estimate;
}

}  // namespace kakeya::model
