// Plain C++ kernels: always built, and the oracle of every other variant. Clear first, fast second.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/half.h"
#include "kernels/panel_ops.h"
#include "kernels/variants.h"

namespace kakeya::kernels {
namespace {

// Sums run in this many interleaved partial sums; it shortens the rounding chain and lets a compiler
// vectorise.
constexpr std::size_t kLanes = 8;

float reduce(const float (&lanes)[kLanes]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

template <class Load>
float dot_loaded(const float* x, Load load, std::size_t n) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += x[i + l] * load(i + l);
  }
  for (std::size_t l = 0; i < n; ++i, ++l) lanes[l] += x[i] * load(i);
  return reduce(lanes);
}

float dot(const float* a, const float* b, std::size_t n) {
  return dot_loaded(
      a, [b](std::size_t i) { return b[i]; }, n);
}

void axpy(float alpha, const float* x, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] += alpha * x[i];
}

void load_row(const Weight& w, std::size_t index, float* out) {
  const auto* half = static_cast<const std::uint16_t*>(w.data) + index * w.in;
  switch (w.type) {
    case WeightType::kF32:
      std::copy_n(static_cast<const float*>(w.data) + index * w.in, w.in, out);
      return;
    case WeightType::kF16:
      for (std::size_t i = 0; i < w.in; ++i) out[i] = base::f16_to_f32(half[i]);
      return;
    case WeightType::kBf16:
      for (std::size_t i = 0; i < w.in; ++i) out[i] = base::bf16_to_f32(half[i]);
      return;
    default:
      return load_quantised_row(w, index, out);
  }
}

void matmul_range(const Weight& w, Rows<const float> x, Rows<float> y, std::size_t first, std::size_t last) {
  for (std::size_t o = first; o < last; ++o) {
    for (std::size_t r = 0; r < x.rows; ++r) {
      const float* row = x.row(r).data();
      const auto* half = static_cast<const std::uint16_t*>(w.data) + o * w.in;
      float& out = y.row(r)[o];
      switch (w.type) {
        case WeightType::kF32:
          out = dot(row, static_cast<const float*>(w.data) + o * w.in, w.in);
          break;
        case WeightType::kF16:
          out = dot_loaded(
              row, [half](std::size_t i) { return base::f16_to_f32(half[i]); }, w.in);
          break;
        case WeightType::kBf16:
          out = dot_loaded(
              row, [half](std::size_t i) { return base::bf16_to_f32(half[i]); }, w.in);
          break;
        default:
          KAKEYA_CHECK(!is_quantised(w.type));
      }
    }
  }
}

void rms_norm(const float* x, const float* weight, float eps, float* out, std::size_t n) {
  const float scale = 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + eps);
  for (std::size_t i = 0; i < n; ++i) out[i] = x[i] * scale * weight[i];
}

void rope(float* head, const float* cos, const float* sin, std::size_t n) {
  const std::size_t half = n / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const float a = head[i];
    const float b = head[i + half];
    head[i] = a * cos[i] - b * sin[i];
    head[i + half] = b * cos[i] + a * sin[i];
  }
}

float row_max(const float* x, std::size_t n) {
  float largest = x[0];
  for (std::size_t i = 0; i < n; ++i) {
    if (std::isnan(x[i])) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, x[i]);
  }
  return largest;
}

float exp_sum(float* x, float shift, std::size_t n) {
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = std::exp(x[i] - shift);
    lanes[i % kLanes] += x[i];
  }
  return reduce(lanes);
}

void softmax(float* x, std::size_t n) {
  const float scale = 1.0f / exp_sum(x, row_max(x, n), n);
  for (std::size_t i = 0; i < n; ++i) x[i] *= scale;
}

void silu_mul(const float* gate, const float* up, float* out, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void hadamard(float* x, std::size_t n) {
  for (std::size_t half = 1; half < n; half *= 2) {
    for (std::size_t base = 0; base < n; base += 2 * half) {
      for (std::size_t i = base; i < base + half; ++i) {
        const float a = x[i];
        const float b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(n)));
  for (std::size_t i = 0; i < n; ++i) x[i] *= scale;
}

void weighted_sum(Rows<const float> weights, Rows<const float> tile, Rows<float> y) {
  for (std::size_t r = 0; r < weights.rows; ++r) {
    for (std::size_t j = 0; j < weights.cols; ++j) {
      axpy(weights.row(r)[j], tile.row(j).data(), y.row(r).data(), y.cols);
    }
  }
}

void unpack_levels(const std::uint8_t* codes, int bits, const float* levels, float scale, float* out,
                   std::size_t n) {
  const std::uint32_t mask = (1u << bits) - 1;
  for (std::size_t i = 0; i < n; i += 8, codes += bits) {
    std::uint32_t word = 0;  // eight codes fill exactly `bits` bytes
    for (int b = 0; b < bits; ++b) word |= std::uint32_t{codes[b]} << (8 * b);
    for (std::size_t l = 0; l < 8; ++l, word >>= bits) out[i + l] = levels[word & mask] * scale;
  }
}

void unpack_i8(const std::int8_t* codes, float scale, float* out, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(codes[i]) * scale;
}

}  // namespace

const Table& scalar_table() {
  static constexpr Table kTable = {
      .name = "scalar",
      .base = "scalar",
      .dot = dot,
      .axpy = axpy,
      .matmul_range = matmul_range,
      .rms_norm = rms_norm,
      .rope = rope,
      .softmax = softmax,
      .silu_mul = silu_mul,
      .hadamard = hadamard,
      .row_max = row_max,
      .exp_sum = exp_sum,
      .weighted_sum = weighted_sum,
      .unpack_levels = unpack_levels,
      .unpack_i8 = unpack_i8,
      .load_row = load_row,
      .quantise_rows = quantise_rows_scalar,
      .panel_matmul_range = panel_matmul_scalar,
  };
  return kTable;
}

}  // namespace kakeya::kernels
