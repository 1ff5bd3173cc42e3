// One layer over a few rows. No loop over layers and no positions here: model.cc and dflash_draft.cc have
// them.
#include "model/layer.h"

#include <fmt/format.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace kakeya::model {
namespace {

// Per-head norm (when there is one) and RoPE on every head of one row.
void finish_heads(const kernels::Table& ops, float* row, std::size_t heads, std::size_t head_dim,
                  std::span<const float> norm, float eps, const float* cos, const float* sin) {
  for (std::size_t h = 0; h < heads; ++h) {
    float* head = row + h * head_dim;
    if (!norm.empty()) ops.rms_norm(head, norm.data(), eps, head, head_dim);
    ops.rope(head, cos, sin, head_dim);
  }
}

void finish_heads_of(const Compute& compute, const Pass& pass, Rows<float> x, std::size_t first_row,
                     std::span<const float> norm) {
  const std::size_t head_dim = pass.config.head_dim, half = head_dim / 2;
  for_rows(compute, x.rows, x.cols, [&](std::size_t r) {
    finish_heads(*compute.ops, x.row(r).data(), x.cols / head_dim, head_dim, norm, pass.config.rms_norm_eps,
                 pass.scratch.cos.data() + (first_row + r) * half,
                 pass.scratch.sin.data() + (first_row + r) * half);
  });
}

void add_rows(const Compute& compute, Rows<const float> x, Rows<float> y) {
  for_rows(compute, x.rows, x.cols,
           [&](std::size_t r) { compute.ops->axpy(1.0f, x.row(r).data(), y.row(r).data(), x.cols); });
}

// hidden += down(silu(gate(normed)) * up(normed)) for rows already normed.
void add_mlp(const Compute& compute, const LayerWeights& weights, Rows<const float> normed, Scratch& scratch,
             Rows<float> hidden) {
  const std::size_t width = weights.gate.out;
  const Rows<float> gate{scratch.gate.data(), normed.rows, width}, up{scratch.up.data(), normed.rows, width};
  const kernels::Product products[] = {{weights.gate, gate}, {weights.up, up}};
  kernels::matmul_all(compute, products, normed);
  for_rows(compute, normed.rows, width, [&](std::size_t r) {
    compute.ops->silu_mul(gate.row(r).data(), up.row(r).data(), gate.row(r).data(), width);
  });
  const Rows<float> projected{scratch.projected.data(), normed.rows, hidden.cols};
  kernels::matmul(compute, weights.down, gate, projected);
  add_rows(compute, projected, hidden);
}

bool all_finite(std::span<const float> x) {
  std::uint32_t bad = 0;
  for (const float value : x) {
    bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & 0x7f800000u) == 0x7f800000u);
  }
  return bad == 0;
}

}  // namespace

Result<LayerWeights> load_layer(WeightLoader& loader, const formats::ModelConfig& config,
                                const std::string& prefix, std::size_t layer) {
  const std::string at = fmt::format("{}layers.{}.", prefix, layer);
  const std::size_t hidden = config.hidden_size, q_width = config.heads * config.head_dim;
  const std::size_t kv_width = config.kv_heads * config.head_dim;
  const MatrixUse heads = {.head_dim = config.head_dim};
  LayerWeights w;
  KAKEYA_ASSIGN(w.input_norm, loader.vector(at + "input_layernorm.weight", hidden));
  KAKEYA_ASSIGN(w.q, loader.matrix(at + "self_attn.q_proj.weight", q_width, hidden, heads));
  KAKEYA_ASSIGN(w.k, loader.matrix(at + "self_attn.k_proj.weight", kv_width, hidden, heads));
  KAKEYA_ASSIGN(w.v, loader.matrix(at + "self_attn.v_proj.weight", kv_width, hidden));
  KAKEYA_ASSIGN(w.o, loader.matrix(at + "self_attn.o_proj.weight", hidden, q_width));
  if (config.architecture != formats::Architecture::kLlama) {
    KAKEYA_ASSIGN(w.q_norm, loader.vector(at + "self_attn.q_norm.weight", config.head_dim));
    KAKEYA_ASSIGN(w.k_norm, loader.vector(at + "self_attn.k_norm.weight", config.head_dim));
  }
  KAKEYA_ASSIGN(w.post_norm, loader.vector(at + "post_attention_layernorm.weight", hidden));
  KAKEYA_ASSIGN(w.gate, loader.matrix(at + "mlp.gate_proj.weight", config.intermediate_size, hidden));
  KAKEYA_ASSIGN(w.up, loader.matrix(at + "mlp.up_proj.weight", config.intermediate_size, hidden));
  KAKEYA_ASSIGN(w.down, loader.matrix(at + "mlp.down_proj.weight", hidden, config.intermediate_size));
  return w;
}

Status check_config(const formats::ModelConfig& c, const std::string& what) {
  for (const auto& [key, value] : {std::pair{"vocab_size", c.vocab_size},
                                   {"hidden_size", c.hidden_size},
                                   {"num_hidden_layers", c.layers},
                                   {"intermediate_size", c.intermediate_size},
                                   {"num_attention_heads", c.heads},
                                   {"num_key_value_heads", c.kv_heads},
                                   {"head_dim", c.head_dim}}) {
    if (value == 0 || value > std::numeric_limits<std::int32_t>::max()) {
      return corrupt_data(
          fmt::format("{}: config.json: {} is {}, expected 1 to 2147483647", what, key, value));
    }
  }
  if (c.heads % c.kv_heads != 0) {
    return corrupt_data(
        fmt::format("{}: config.json: num_attention_heads {} is no multiple of num_key_value_heads {}", what,
                    c.heads, c.kv_heads));
  }
  if (c.head_dim % 2 != 0) {
    return unsupported(
        fmt::format("{}: config.json: head_dim {} is odd, RoPE needs an even one", what, c.head_dim));
  }
  if (c.attention_bias) {
    return unsupported(fmt::format("{}: config.json: attention_bias is true, only false is supported", what));
  }
  bool any_sliding = false;
  for (const bool s : c.sliding) any_sliding = any_sliding || s;
  if (any_sliding && (c.sliding.size() != c.layers || c.sliding_window == 0)) {
    return corrupt_data(
        fmt::format("{}: config.json: {} layer types and sliding_window {}, expected {} and at least 1", what,
                    c.sliding.size(), c.sliding_window, c.layers));
  }
  return {};
}

void norm_rows(const Compute& compute, Rows<const float> x, std::span<const float> weight, float eps,
               Rows<float> out) {
  for_rows(compute, x.rows, x.cols, [&](std::size_t r) {
    compute.ops->rms_norm(x.row(r).data(), weight.data(), eps, out.row(r).data(), x.cols);
  });
}

void project_kv(const Compute& compute, const Pass& pass, const LayerWeights& weights, Rows<const float> x,
                Rows<float> q) {
  const Rows<float> k{pass.scratch.k.data(), x.rows, weights.k.out},
      v{pass.scratch.v.data(), x.rows, weights.v.out};
  const kernels::Product products[] = {{weights.k, k}, {weights.v, v}, {weights.q, q}};
  kernels::matmul_all(compute, std::span(products).first(q.rows > 0 ? 3 : 2), x);
  finish_heads_of(compute, pass, k, 0, weights.k_norm);
}

Status run_layer(const Compute& compute, const Pass& pass, const LayerWeights& weights, std::size_t layer,
                 std::size_t first_needed) {
  const formats::ModelConfig& config = pass.config;
  Scratch& s = pass.scratch;
  const Rows<float> hidden{s.hidden.data(), pass.rows, config.hidden_size};
  const Rows<float> normed{s.normed.data(), pass.rows, config.hidden_size};
  const std::size_t rows = pass.rows - first_needed;
  const Rows<float> q{s.q.data(), rows, weights.q.out}, attended{s.attended.data(), rows, weights.q.out};
  norm_rows(compute, hidden, weights.input_norm, config.rms_norm_eps, normed);
  project_kv(compute, pass, weights, normed, first_needed == 0 ? q : Rows<float>{});
  KAKEYA_TRY(pass.kv.append(compute, layer, Rows<const float>{s.k.data(), pass.rows, weights.k.out},
                            Rows<const float>{s.v.data(), pass.rows, weights.v.out}));
  if (rows == 0) return {};

  if (first_needed > 0) kernels::matmul(compute, weights.q, normed.sub(first_needed, rows), q);
  finish_heads_of(compute, pass, q, first_needed, weights.q_norm);
  const bool sliding = !config.sliding.empty() && config.sliding[layer];
  const std::span<const kv::Visible> visible{sliding ? s.sliding : s.full};
  KAKEYA_TRY(pass.kv.attend(compute, {.layer = layer,
                                      .queries = q,
                                      .visible = visible.subspan(first_needed, rows),
                                      .scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim)),
                                      .out = attended}));
  const Rows<float> projected{s.projected.data(), rows, config.hidden_size};
  kernels::matmul(compute, weights.o, attended, projected);
  const Rows<float> needed = hidden.sub(first_needed, rows), needed_normed = normed.sub(0, rows);
  add_rows(compute, projected, needed);
  norm_rows(compute, needed, weights.post_norm, config.rms_norm_eps, needed_normed);
  add_mlp(compute, weights, needed_normed, s, needed);
  return {};
}

void fill_angles(const Rope& rope, std::size_t start, std::size_t rows, Scratch& scratch) {
  const std::size_t half = rope.half();
  for (std::size_t r = 0; r < rows; ++r) {
    rope.angles(start + r, {scratch.cos.data() + r * half, half}, {scratch.sin.data() + r * half, half});
  }
}

Status check_finite(const Compute& compute, Rows<const float> x, const char* what, std::size_t first_row) {
  std::atomic<std::size_t> bad{x.rows};
  for_rows(compute, x.rows, x.cols, [&](std::size_t r) {
    if (all_finite(x.row(r))) return;
    std::size_t seen = bad.load();
    while (r < seen && !bad.compare_exchange_weak(seen, r)) {
    }
  });
  if (bad == x.rows) return {};
  return Error{ErrorCode::kNumeric,
               fmt::format("forward pass: {} at position {}: NaN or infinity", what, first_row + bad.load())};
}

}  // namespace kakeya::model
