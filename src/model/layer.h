// One transformer layer, shared by targets and drafts: its weights and the steps of a pass over a few rows.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "model/rope.h"
#include "model/scratch.h"
#include "model/weights.h"

namespace kakeya::model {

struct LayerWeights {
  std::vector<float> input_norm, post_norm;  // [hidden]
  std::vector<float> q_norm, k_norm;         // [head_dim]; empty where the architecture has none
  Weight q, k, v, o, gate, up, down;
};

// Tensors "<prefix>layers.<i>.*".
Result<LayerWeights> load_layer(WeightLoader& loader, const formats::ModelConfig& config,
                                const std::string& prefix, std::size_t layer);

// Refuses configurations that the layers here cannot run, naming the key.
Status check_config(const formats::ModelConfig& config, const std::string& what);

// A pass over `rows` rows of scratch.hidden, from cache position `start` on. cos, sin and the visible ranges
// of scratch are filled by the caller.
struct Pass {
  const formats::ModelConfig& config;
  kv::Cache& kv;
  Scratch& scratch;
  std::size_t rows = 0;
};

// x[r] = x[r] / sqrt(mean(x[r]^2) + eps) * weight, row by row; out may be x.
void norm_rows(const Compute& compute, Rows<const float> x, std::span<const float> weight, float eps,
               Rows<float> out);

// scratch.k, scratch.v [rows, kv_heads * head_dim] from x [rows, hidden]: projections, k_norm, RoPE by
// scratch.cos/sin. q, when it has rows, gets its bare projection in the same fork.
void project_kv(const Compute& compute, const Pass& pass, const LayerWeights& weights, Rows<const float> x,
                Rows<float> q);

// hidden += attention(norm(hidden)); hidden += mlp(norm(hidden)). K and V of all rows are appended to the
// cache; rows before `first_needed` get no attention and no MLP, so their hidden state is not updated.
Status run_layer(const Compute& compute, const Pass& pass, const LayerWeights& weights, std::size_t layer,
                 std::size_t first_needed);

// Fills scratch.cos and scratch.sin for positions [start, start + rows).
void fill_angles(const Rope& rope, std::size_t start, std::size_t rows, Scratch& scratch);

// Rows whose values are all finite, or kNumeric naming `what` and the first bad row (counted from
// `first_row`).
Status check_finite(const Compute& compute, Rows<const float> x, const char* what, std::size_t first_row);

// Calls fn(row) for every row, in parallel when rows * cols is worth a fork.
template <class F>
void for_rows(const Compute& compute, std::size_t rows, std::size_t cols, F&& fn) {
  constexpr std::size_t kMinParallelValues = std::size_t{1} << 14;
  if (rows * cols < kMinParallelValues) {
    for (std::size_t r = 0; r < rows; ++r) fn(r);
    return;
  }
  compute.pool->parallel_for(rows, [&](std::size_t r, int) { fn(r); });
}

}  // namespace kakeya::model
