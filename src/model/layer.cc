// One layer over a few rows. No loop over layers and no positions here: model.cc and dflash_draft.cc have
// them.
#include "model/layer.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace kakeya::model {
namespace {

// Values of a task of row-by-row work; a row is one task at least.
constexpr std::size_t kTaskValues = std::size_t{1} << 13;

// Calls fn(first, last) for runs of rows.
template <class F>
void for_row_runs(const Compute& compute, std::size_t rows, std::size_t cols, F&& fn) {
  const std::size_t run = std::max<std::size_t>(1, kTaskValues / cols);
  compute.pool->parallel_for((rows + run - 1) / run, [&](std::size_t task, int) {
    fn(task * run, std::min(rows, (task + 1) * run));
  });
}

kernels::OperandForms forms_of(const Compute& compute, std::initializer_list<const Weight*> weights) {
  kernels::OperandForms forms;
  for (const Weight* w : weights) forms.add(*compute.ops, *w);
  return forms;
}

// Columns [first, last) of all rows.
template <class T>
Rows<T> columns_of(Rows<T> x, const kernels::Columns& c) {
  return {x.data + c.first, x.rows, c.last - c.first, x.stride};
}

// Per-head norm (when there is one) and RoPE on the heads in `columns` of q or k. `first_row`: of the pass.
void finish_heads(const Compute& compute, const Pass& pass, Rows<float> columns, std::size_t first_row,
                  std::span<const float> norm) {
  const std::size_t head_dim = pass.config.head_dim, half = head_dim / 2;
  for (std::size_t r = 0; r < columns.rows; ++r) {
    const float* cos = pass.scratch.cos.data() + (first_row + r) * half;
    const float* sin = pass.scratch.sin.data() + (first_row + r) * half;
    for (std::size_t at = 0; at < columns.cols; at += head_dim) {
      float* head = columns.data + r * columns.stride + at;
      if (!norm.empty()) compute.ops->rms_norm(head, norm.data(), pass.config.rms_norm_eps, head, head_dim);
      compute.ops->rope(head, cos, sin, head_dim);
    }
  }
}

// q of the last q.rows rows of scratch.normed.
void project_last_queries(const Compute& compute, const Pass& pass, const LayerWeights& weights,
                          const kernels::OperandMemory& memory, Rows<float> q) {
  const std::size_t first = pass.rows - q.rows;
  const Rows<const float> x(pass.scratch.normed.data() + first * weights.q.in, q.rows, weights.q.in);
  const kernels::Product product = {weights.q, q};
  const auto finish = [&](const kernels::Columns& c) {
    finish_heads(compute, pass, columns_of(q, c), first, weights.q_norm);
  };
  kernels::multiply(compute, {&product, 1}, kernels::operand_of(compute, x, memory),
                    {.column_step = pass.config.head_dim, .after = kernels::AfterColumns(finish)});
}

// hidden += x * weight^T; `projected` is work space of hidden's shape.
void add_product(const Compute& compute, const Weight& weight, const kernels::Operand& x,
                 Rows<float> projected, Rows<float> hidden) {
  const kernels::Product product = {weight, projected};
  const auto add = [&](const kernels::Columns& c) {
    const Rows<float> from = columns_of(projected, c), to = columns_of(hidden, c);
    for (std::size_t r = 0; r < to.rows; ++r) {
      compute.ops->axpy(1.0f, from.row(r).data(), to.row(r).data(), to.cols);
    }
  };
  kernels::multiply(compute, {&product, 1}, x, {.after = kernels::AfterColumns(add)});
}

// hidden += down(silu(gate(normed)) * up(normed)) for rows already normed. `memory`: for what down reads.
void add_mlp(const Compute& compute, const LayerWeights& weights, const kernels::Operand& normed,
             Scratch& scratch, const kernels::OperandMemory& memory, Rows<float> hidden) {
  const std::size_t width = weights.gate.out, rows = hidden.rows;
  const Rows<float> gate{scratch.gate.data(), rows, width}, up{scratch.up.data(), rows, width};
  const kernels::Product products[] = {{weights.gate, gate}, {weights.up, up}};
  const kernels::Operand inner = kernels::unfilled_operand(gate, memory);
  const auto activate = [&](const kernels::Columns& c) {
    const Rows<float> from = columns_of(gate, c), factor = columns_of(up, c);
    for (std::size_t r = 0; r < rows; ++r) {
      compute.ops->silu_mul(from.row(r).data(), factor.row(r).data(), from.row(r).data(), from.cols);
    }
    inner.fill(*compute.ops, from, 0, c.first);
  };
  kernels::multiply(
      compute, products, normed,
      {.column_step = kernels::kActivationBlock, .together = true, .after = kernels::AfterColumns(activate)});
  add_product(compute, weights.down, inner, {scratch.projected.data(), rows, hidden.cols}, hidden);
}

// `queries` and `out` belong to the last queries.rows rows of the pass.
Status attend_segments(const Compute& compute, const Pass& pass, std::size_t layer, Rows<const float> queries,
                       Rows<float> out) {
  const formats::ModelConfig& config = pass.config;
  const bool sliding = !config.sliding.empty() && config.sliding[layer];
  const std::span<const kv::Visible> visible{sliding ? pass.scratch.sliding : pass.scratch.full};
  const std::size_t skipped = pass.rows - queries.rows;
  for (const Segment& segment : pass.segments) {
    const std::size_t first = std::max(segment.first, skipped), rows = segment.first + segment.rows - first;
    KAKEYA_TRY(segment.kv->attend(compute, {.layer = layer,
                                            .queries = queries.sub(first - skipped, rows),
                                            .visible = visible.subspan(first, rows),
                                            .scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim)),
                                            .out = out.sub(first - skipped, rows)}));
  }
  return {};
}

// Memory for what the products of one layer read.
struct LayerMemory {
  kernels::OperandMemory qkv, o, gate_up, down;
};

LayerMemory layer_memory(const Compute& compute, const LayerWeights& w, std::size_t rows) {
  LayerMemory out = {{forms_of(compute, {&w.q, &w.k, &w.v}), {}},
                     {forms_of(compute, {&w.o}), {}},
                     {forms_of(compute, {&w.gate, &w.up}), {}},
                     {forms_of(compute, {&w.down}), {}}};
  // The first three are used one after the other.
  const std::size_t shared = std::max({kernels::operand_bytes(out.qkv.forms, rows, w.q.in),
                                       kernels::operand_bytes(out.o.forms, rows, w.o.in),
                                       kernels::operand_bytes(out.gate_up.forms, rows, w.gate.in)});
  const std::size_t down = kernels::operand_bytes(out.down.forms, rows, w.down.in);
  if (shared + down == 0) return out;
  constexpr std::size_t kLine = 64;
  const std::size_t first = (shared + kLine - 1) / kLine * kLine;
  const std::span<std::byte> all = compute.pool->scratch(first + down);
  out.qkv.bytes = out.o.bytes = out.gate_up.bytes = all.first(first);
  out.down.bytes = all.subspan(first);
  return out;
}

}  // namespace

kernels::OperandMemory operand_memory(const Compute& compute, const kernels::OperandForms& forms,
                                      std::size_t rows, std::size_t cols) {
  if (!forms.any()) return {};
  return {forms, compute.pool->scratch(kernels::operand_bytes(forms, rows, cols))};
}

kernels::Operand norm_rows(const Compute& compute, Rows<const float> x, std::span<const float> weight,
                           float eps, Rows<float> out, const kernels::OperandMemory& memory) {
  const kernels::Operand operand = kernels::unfilled_operand(out, memory);
  // A single row while it is near; the forms of several share cache lines, so they wait for all of them.
  const bool at_once = x.rows == 1;
  for_row_runs(compute, x.rows, x.cols, [&](std::size_t first, std::size_t last) {
    for (std::size_t r = first; r < last; ++r) {
      compute.ops->rms_norm(x.row(r).data(), weight.data(), eps, out.row(r).data(), x.cols);
      if (at_once) operand.fill(*compute.ops, out.sub(r, 1), r, 0);
    }
  });
  if (!at_once && memory.forms.any()) kernels::fill_operand(compute, operand);
  return operand;
}

void project_heads(const Compute& compute, const Pass& pass, const LayerWeights& weights,
                   const kernels::Operand& x, Rows<float> q) {
  const Rows<float> k{pass.scratch.k.data(), x.x.rows, weights.k.out},
      v{pass.scratch.v.data(), x.x.rows, weights.v.out};
  const kernels::Product products[] = {{weights.k, k}, {weights.v, v}, {weights.q, q}};
  const auto finish = [&](const kernels::Columns& c) {
    if (c.product == 0) finish_heads(compute, pass, columns_of(k, c), 0, weights.k_norm);
    if (c.product == 2) finish_heads(compute, pass, columns_of(q, c), 0, weights.q_norm);
  };
  kernels::multiply(compute, std::span(products).first(q.rows > 0 ? 3 : 2), x,
                    {.column_step = pass.config.head_dim, .after = kernels::AfterColumns(finish)});
}

Status append_rows(const Compute& compute, const Pass& pass, const LayerWeights& weights, std::size_t layer) {
  const Rows<const float> k{pass.scratch.k.data(), pass.rows, weights.k.out};
  const Rows<const float> v{pass.scratch.v.data(), pass.rows, weights.v.out};
  for (const Segment& segment : pass.segments) {
    KAKEYA_TRY(segment.kv->append(compute, layer, k.sub(segment.first, segment.rows),
                                  v.sub(segment.first, segment.rows)));
  }
  return {};
}

Status run_layer(const Compute& compute, const Pass& pass, const LayerWeights& weights, std::size_t layer,
                 std::size_t first_needed) {
  const formats::ModelConfig& config = pass.config;
  Scratch& s = pass.scratch;
  const Rows<float> hidden{s.hidden.data(), pass.rows, config.hidden_size};
  const Rows<float> normed{s.normed.data(), pass.rows, config.hidden_size};
  const std::size_t rows = pass.rows - first_needed;
  const Rows<float> q{s.q.data(), rows, weights.q.out}, attended{s.attended.data(), rows, weights.q.out};
  const LayerMemory memory = layer_memory(compute, weights, pass.rows);
  project_heads(compute, pass, weights,
                norm_rows(compute, hidden, weights.input_norm, config.rms_norm_eps, normed, memory.qkv),
                first_needed == 0 ? q : Rows<float>{});
  KAKEYA_TRY(append_rows(compute, pass, weights, layer));
  if (rows == 0) return {};

  if (first_needed > 0) project_last_queries(compute, pass, weights, memory.qkv, q);
  KAKEYA_TRY(attend_segments(compute, pass, layer, q, attended));
  const Rows<float> needed = hidden.sub(first_needed, rows);
  add_product(compute, weights.o, kernels::operand_of(compute, attended, memory.o),
              {s.projected.data(), rows, config.hidden_size}, needed);
  const kernels::Operand inner =
      norm_rows(compute, needed, weights.post_norm, config.rms_norm_eps, normed.sub(0, rows), memory.gate_up);
  add_mlp(compute, weights, inner, s, memory.down, needed);
  return {};
}

void fill_angles(const Rope& rope, std::size_t start, std::size_t first, std::size_t rows, Scratch& scratch) {
  const std::size_t half = rope.half();
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t at = (first + r) * half;
    rope.angles(start + r, {scratch.cos.data() + at, half}, {scratch.sin.data() + at, half});
  }
}

}  // namespace kakeya::model
