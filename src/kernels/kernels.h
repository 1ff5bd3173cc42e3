// Maths on rows of numbers. Knows nothing of models, files or what a row means.
//
// Batch invariance: the value of an output row depends on its own input row only. Every function sums a
// row in one fixed order for a given variant, whatever the number of rows or threads.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/rows.h"
#include "base/thread_pool.h"

namespace kakeya::kernels {

// kAffine4, kAffine8: w = scale * code + bias, one scale and bias per group of 32, 64 or 128 inputs (MLX).
// The other quantised types are ggml's blocks (kernels/blocks.h).
enum class WeightType { kF32, kF16, kBf16, kQ8_0, kQ4_0, kQ4K, kQ5K, kQ6K, kAffine4, kAffine8 };
const char* to_string(WeightType type);  // "f32", "q4_0", "q4_k", "affine4", ...
bool is_quantised(WeightType type);
std::size_t bytes_per_weight(WeightType type);  // of the types that are not quantised

// kRows: row-major and dense, as the matrix lies in its file. kPanels: repacked once for the matmul kernels
// (kernels/panels.h); quantised types only.
enum class WeightLayout { kRows, kPanels };

// A weight matrix [out, in]. Never owns. Matmul takes kRows of the plain types and kPanels of the quantised
// ones; load_row takes everything but kRows of the affine types.
struct Weight {
  const void* data = nullptr;
  WeightType type = WeightType::kF32;
  std::size_t out = 0;
  std::size_t in = 0;
  WeightLayout layout = WeightLayout::kRows;
  std::size_t group = 0;                      // affine types: inputs per scale
  WeightType scale_type = WeightType::kBf16;  // affine types: of scales and biases
};

struct Int8Rows;   // kernels/panels.h
struct SplitRows;  // kernels/split_rows.h

// One CPU variant: the same functions built for one instruction set. `scalar` is plain C++ and the oracle.
struct Table {
  const char* name;  // "scalar", "sse4", "avx2", "avx2_vnni", "avx512", "avx512_vnni", "amx", "neon", ...
  // The variant with the same functions on floats; "amx" differs from "avx512" in its products of panels.
  const char* base;

  // sum of a[i] * b[i]
  float (*dot)(const float* a, const float* b, std::size_t n);
  // y[i] += alpha * x[i]
  void (*axpy)(float alpha, const float* x, float* y, std::size_t n);
  // y[r][o] = dot(x[r], w[o]) for o in [first, last); x is [rows, in], y is [rows, out]
  void (*matmul_range)(const Weight& w, Rows<const float> x, Rows<float> y, std::size_t first,
                       std::size_t last);
  // out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]; out may be x
  void (*rms_norm)(const float* x, const float* weight, float eps, float* out, std::size_t n);
  // Rotate-half RoPE in place on one head of n values; cos and sin hold n/2 values.
  void (*rope)(float* head, const float* cos, const float* sin, std::size_t n);
  // In place; the largest value is subtracted first. n >= 1.
  void (*softmax)(float* x, std::size_t n);
  // out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]; out may be gate
  void (*silu_mul)(const float* gate, const float* up, float* out, std::size_t n);
  // Orthonormal Walsh-Hadamard (Sylvester) transform in place; n is a power of two >= 1. Its own inverse.
  void (*hadamard)(float* x, std::size_t n);
  // Largest of x[0, n); NaN when any is NaN. n >= 1.
  float (*row_max)(const float* x, std::size_t n);
  // x[i] = exp(x[i] - shift) in place; returns their sum.
  float (*exp_sum)(float* x, float shift, std::size_t n);
  // y[r] += sum over j of weights[r][j] * tile[j], j in order; weights [rows, n], tile [n, dim], y [rows,
  // dim]
  void (*weighted_sum)(Rows<const float> weights, Rows<const float> tile, Rows<float> y);
  // out[i] = levels[code i] * scale. Code i is the `bits` bits from bit i * bits on, low bits first; bits is
  // 3 or 4, levels holds 2^bits values, n is a multiple of 8.
  void (*unpack_levels)(const std::uint8_t* codes, int bits, const float* levels, float scale, float* out,
                        std::size_t n);
  // out[i] = codes[i] * scale
  void (*unpack_i8)(const std::int8_t* codes, float scale, float* out, std::size_t n);
  // Row `index` of w as float, out has w.in values.
  void (*load_row)(const Weight& w, std::size_t index, float* out);
  // Rounds x to rows [row, row + x.rows) and columns [column, column + x.cols) of out; column and x.cols are
  // multiples of kActivationBlock. A block with NaN or infinity gives NaN in every product.
  void (*quantise_rows)(Rows<const float> x, const Int8Rows& out, std::size_t row, std::size_t column);
  // As matmul_range for kPanels; first is a multiple of kPanelOutputs, last too or w.out.
  void (*panel_matmul_range)(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                             std::size_t last);
  // Null where there are no dot products of bf16 that are worth it. x to rows [row, row + x.rows) and columns
  // [column, column + x.cols) of out; column and x.cols are multiples of SplitRows::kStep. A value that is no
  // finite number gives NaN in every product.
  void (*split_rows)(Rows<const float> x, const SplitRows& out, std::size_t row,
                     std::size_t column) = nullptr;
  // As matmul_range for kRows of kBf16 with w.in a multiple of SplitRows::kStep. Null with split_rows.
  void (*split_matmul_range)(const Weight& w, const SplitRows& x, Rows<float> y, std::size_t first,
                             std::size_t last) = nullptr;
};

// The variants this build has and this CPU can run, scalar first, best last.
std::span<const Table* const> available();
// By name; null when this build or CPU lacks it.
const Table* find(std::string_view name);
// The last of available().
const Table& best();

// What a forward pass computes with: a variant and the threads. Both outlive their users.
struct Compute {
  const Table* ops = nullptr;
  base::ThreadPool* pool = nullptr;
};

// y = x * w^T, x [rows, w.in], y [rows, w.out], split over output columns.
void matmul(const Compute& compute, const Weight& w, Rows<const float> x, Rows<float> y);

struct Product {
  const Weight& w;
  Rows<float> y;  // [rows, w.out]
};
// Several products of the same x [rows, in] in one fork. With more to do in that fork: kernels/products.h.
void matmul_all(const Compute& compute, std::span<const Product> products, Rows<const float> x);

}  // namespace kakeya::kernels
