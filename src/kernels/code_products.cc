// Products of codes in plain C++, the oracle, and the variants by name.
#include "kernels/code_products.h"

#include <cmath>
#include <iterator>
#include <limits>

#include "kernels/code_products_ops.h"
#include "kernels/kernels.h"
#include "kernels/panel_cpu.h"

namespace kakeya::kernels {
namespace {

void round_pair(const float* x, const float* factors, const PairRows& out, std::size_t row) {
  std::int8_t* high = out.high(row);
  std::int8_t* low = out.low(row);
  float largest = 0;
  for (std::size_t i = 0; i < out.cols; ++i) {
    const float value = std::fabs(factors != nullptr ? x[i] * factors[i] : x[i]);
    if (!(value <= largest) && !std::isnan(largest)) largest = value;  // NaN stays
  }
  constexpr auto kTop = static_cast<float>(PairRows::kLargest);
  const bool usable = std::isfinite(largest) && largest >= kTiniestPair;
  const float inverse = usable ? kTop / largest : 0.0f;
  out.steps[row] = usable                   ? largest / kTop
                   : largest < kTiniestPair ? 0.0f
                                            : std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 0; i < out.cols; ++i) {
    const float value = factors != nullptr ? x[i] * factors[i] : x[i];
    const int code = usable ? static_cast<int>(std::nearbyint(value * inverse)) : 0;
    high[i] = static_cast<std::int8_t>((code + 64) >> 7);
    low[i] = static_cast<std::int8_t>(code - high[i] * 128);
  }
}

// Sums of 16 lanes, folded in halves.
float exp_sum(float* x, float shift, std::size_t n) {
  float lanes[16] = {};
  for (std::size_t i = 0; i < n; ++i) {
    const float power = std::max((x[i] - shift) * kLog2E, kLeastExponent);
    const float whole = std::nearbyint(power);
    float p = kExp2Terms[0];
    for (std::size_t t = 1; t < std::size(kExp2Terms); ++t) p = std::fma(p, power - whole, kExp2Terms[t]);
    x[i] = std::ldexp(std::fma(p, power - whole, 1.0f), static_cast<int>(whole));
    lanes[i % 16] += x[i];
  }
  for (std::size_t half = 8; half >= 1; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

void scores(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
            Rows<float> out) {
  const std::size_t dim = queries.cols;
  for (std::size_t r = 0; r < queries.rows; ++r) {
    for (std::size_t j = 0; j < n; ++j) {
      const std::int8_t* key = keys + j / 16 * 16 * dim + j % 16 * 4;
      std::int32_t high = 0, low = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        const int code = key[i / 4 * 64 + i % 4];
        high += queries.high(r)[i] * code;
        low += queries.low(r)[i] * code;
      }
      out.row(r)[j] = static_cast<float>(128 * high + low) * scales[j] * queries.steps[r];
    }
  }
}

void sums(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  for (std::size_t r = 0; r < weights.rows; ++r) {
    for (std::size_t i = 0; i < y.cols; ++i) {
      std::int32_t high = 0, low = 0;
      for (std::size_t j = 0; j < weights.cols; ++j) {
        const std::size_t tile = j / 64 * (y.cols / 16) + i / 16;
        const int code = values[(tile * 16 + j % 64 / 4) * 64 + i % 16 * 4 + j % 4];
        high += weights.high(r)[j] * code;
        low += weights.low(r)[j] * code;
      }
      y.row(r)[i] = static_cast<float>(128 * high + low) * weights.steps[r];
    }
  }
}

}  // namespace

const CodeProducts& scalar_code_products() {
  static constexpr CodeProducts kTable = {.name = "scalar",
                                          .code_bytes = 1,
                                          .unit = nullptr,
                                          .most_row_queries = 0,
                                          .round = round_pair,
                                          .exp_sum = exp_sum,
                                          .scores = scores,
                                          .columns = nullptr,
                                          .row_scores = nullptr,
                                          .sums = sums};
  return kTable;
}

const CodeProducts* find_code_products(std::string_view name) {
#if defined(__x86_64__)
  static constexpr CodeProducts kAvx2 = {.name = "avx2",
                                         .code_bytes = 1,
                                         .unit = nullptr,
                                         .most_row_queries = 0,
                                         .round = round_pair_avx2,
                                         .exp_sum = exp_sum_avx2,
                                         .scores = code_scores_avx2,
                                         .columns = nullptr,
                                         .row_scores = nullptr,
                                         .sums = code_sums_avx2};
  // AVX-512 without products of bytes is rare, and its own products of 16-bit numbers not worth a kernel.
  if ((name == kAvx2.name || name == "avx512") && has_avx2()) return &kAvx2;
  static constexpr CodeProducts kAvx2Vnni = {.name = "avx2_vnni",
                                             .code_bytes = 1,
                                             .unit = nullptr,
                                             .most_row_queries = 0,
                                             .round = round_pair_avx2,
                                             .exp_sum = exp_sum_avx2,
                                             .scores = code_scores_avx2_vnni,
                                             .columns = nullptr,
                                             .row_scores = nullptr,
                                             .sums = code_sums_avx2_vnni};
  if (name == kAvx2Vnni.name && has_avx_vnni()) return &kAvx2Vnni;
  static constexpr CodeProducts kVnni = {.name = "avx512_vnni",
                                         .code_bytes = 1,
                                         .unit = nullptr,
                                         .most_row_queries = 0,
                                         .round = round_pair_avx512,
                                         .exp_sum = exp_sum_avx512,
                                         .scores = code_scores_vnni,
                                         .columns = nullptr,
                                         .row_scores = nullptr,
                                         .sums = code_sums_vnni};
  if (name == kVnni.name && has_avx512_vnni()) return &kVnni;
  static constexpr CodeProducts kAmx = {.name = "amx",
                                        .code_bytes = 1,
                                        .unit = &kInt8Tiles,
                                        .most_row_queries = 8,
                                        .round = round_pair_avx512,
                                        .exp_sum = exp_sum_avx512,
                                        .scores = code_scores_amx,
                                        .columns = query_columns_amx,
                                        .row_scores = row_scores_amx,
                                        .sums = code_sums_amx};
  if (name == kAmx.name && has_amx_int8()) return &kAmx;
#elif defined(KAKEYA_ARM_TARGETS)
  static constexpr CodeProducts kDotprod = {.name = "neon_dotprod",
                                            .code_bytes = 1,
                                            .unit = nullptr,
                                            .most_row_queries = 0,
                                            .round = round_pair_neon,
                                            .exp_sum = exp_sum_neon,
                                            .scores = code_scores_dotprod,
                                            .columns = nullptr,
                                            .row_scores = nullptr,
                                            .sums = code_sums_dotprod};
  if (name == kDotprod.name && has_neon_dotprod()) return &kDotprod;
  static constexpr CodeProducts kI8mm = {.name = "neon_i8mm",
                                         .code_bytes = 1,
                                         .unit = nullptr,
                                         .most_row_queries = 0,
                                         .round = round_pair_neon,
                                         .exp_sum = exp_sum_neon,
                                         .scores = code_scores_i8mm,
                                         .columns = nullptr,
                                         .row_scores = nullptr,
                                         .sums = code_sums_i8mm};
  if (name == kI8mm.name && has_neon_i8mm()) return &kI8mm;
#endif
  (void)name;
  return nullptr;
}

const Bf16Products* find_bf16_products(std::string_view name) {
#if defined(__x86_64__)
  static constexpr Bf16Products kAmx = {.products = {.name = "amx",
                                                     .code_bytes = 2,
                                                     .unit = &kBf16Tiles,
                                                     .most_row_queries = 0,
                                                     .round = split_bf16_amx,
                                                     .exp_sum = exp_sum_avx512,
                                                     .scores = bf16_scores_amx,
                                                     .columns = nullptr,
                                                     .row_scores = nullptr,
                                                     .sums = bf16_sums_amx},
                                        .keys = bf16_keys_avx512,
                                        .values = bf16_values_avx512};
  if (name == kAmx.products.name && has_amx_bf16()) return &kAmx;
  static constexpr Bf16Products kAvx512 = {.products = {.name = "avx512",
                                                        .code_bytes = 2,
                                                        .unit = nullptr,
                                                        .most_row_queries = 0,
                                                        .round = keep_floats_avx512,
                                                        .exp_sum = exp_sum_avx512,
                                                        .scores = bf16_scores_avx512,
                                                        .columns = nullptr,
                                                        .row_scores = nullptr,
                                                        .sums = bf16_sums_avx512},
                                           .keys = bf16_keys_avx512,
                                           .values = bf16_values_avx512};
  // A table of such a name is only there on a CPU that has it.
  const Table* table = find(name);
  if (table != nullptr && std::string_view(table->base) == kAvx512.products.name) return &kAvx512;
#endif
  (void)name;
  return nullptr;
}

}  // namespace kakeya::kernels
