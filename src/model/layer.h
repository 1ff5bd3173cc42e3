// One transformer layer, shared by targets and drafts: its weights and the steps of a pass over a few rows.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kernels/products.h"
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

// Rows [first, first + rows) of a pass: those of one sequence.
struct Segment {
  kv::Cache* kv = nullptr;
  std::size_t first = 0, rows = 0;
  std::size_t start = 0;  // position of the first of them
};

// A pass over `rows` rows of scratch.hidden, segment after segment. cos, sin and the visible ranges of
// scratch are filled by the caller.
struct Pass {
  const formats::ModelConfig& config;
  std::span<const Segment> segments;
  Scratch& scratch;
  std::size_t rows = 0;
};

// x[r] / sqrt(mean(x[r]^2) + eps) * weight, row by row, in `out`, which may be x, and in the forms that
// products want, in `memory`.
kernels::Operand norm_rows(const Compute& compute, Rows<const float> x, std::span<const float> weight,
                           float eps, Rows<float> out, const kernels::OperandMemory& memory);

// Memory for norm_rows, the pool's scratch; empty when no product wants another form.
kernels::OperandMemory operand_memory(const Compute& compute, const kernels::OperandForms& forms,
                                      std::size_t rows, std::size_t cols);

// scratch.k, scratch.v [rows, kv_heads * head_dim] from x [rows, hidden]: projections, k_norm, RoPE by
// scratch.cos/sin. q, when it has rows, gets its own in the same fork.
void project_heads(const Compute& compute, const Pass& pass, const LayerWeights& weights,
                   const kernels::Operand& x, Rows<float> q);

// scratch.k and scratch.v to the caches of their segments.
Status append_rows(const Compute& compute, const Pass& pass, const LayerWeights& weights, std::size_t layer);

// hidden += attention(norm(hidden)); hidden += mlp(norm(hidden)). K and V of all rows are appended to the
// caches; rows before `first_needed` get no attention and no MLP, so their hidden state is not updated. It
// lies in the first segment or is pass.rows.
Status run_layer(const Compute& compute, const Pass& pass, const LayerWeights& weights, std::size_t layer,
                 std::size_t first_needed);

// Fills scratch.cos and scratch.sin of rows [first, first + rows) for positions [start, start + rows).
void fill_angles(const Rope& rope, std::size_t start, std::size_t first, std::size_t rows, Scratch& scratch);

// Rows whose values are all finite, or kNumeric naming `what` and the first bad row (counted from
// `first_row`).
Status check_finite(const Compute& compute, Rows<const float> x, const char* what, std::size_t first_row);

// logits = head * norm(hidden), checked as by check_finite; `normed` is work space as large as hidden.
struct LogitPass {
  const Weight& head;
  std::span<const float> norm;
  float eps = 0;
  const char* what = "";
  std::size_t first_row = 0;
};
Status project_logits(const Compute& compute, const LogitPass& pass, Rows<const float> hidden,
                      Rows<float> normed, Rows<float> logits);

}  // namespace kakeya::model
