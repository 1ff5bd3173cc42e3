// The products of codes of each instruction set, for code_products.cc.
#pragma once
#include "kernels/code_products.h"
#include "kernels/panel_ops.h"  // KAKEYA_ARM_TARGETS

namespace kakeya::kernels {

// Below this largest magnitude of a row, kLargest / it may be no number; the row counts as zero.
inline constexpr float kTiniestPair = 0x1p-100f;

// 2^f for |f| <= 1/2: Taylor terms from the highest to that of f.
inline constexpr float kExp2Terms[] = {1.5403530e-4f, 1.3333558e-3f, 9.6181291e-3f,
                                       5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f};
inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kLeastExponent = -126.0f;  // of 2, the smallest normal number

#if defined(__x86_64__)
// For has_avx2().
void round_pair_avx2(const float* x, const float* factors, const PairRows& out, std::size_t row);
float exp_sum_avx2(float* x, float shift, std::size_t n);
void code_scores_avx2(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                      Rows<float> scores);
void code_sums_avx2(const PairRows& weights, const std::int8_t* values, Rows<float> y);
// For has_avx_vnni().
void code_scores_avx2_vnni(const PairRows& queries, const std::int8_t* keys, std::size_t n,
                           const float* scales, Rows<float> scores);
void code_sums_avx2_vnni(const PairRows& weights, const std::int8_t* values, Rows<float> y);
// For AVX-512 (F, BW, DQ, VL).
float exp_sum_avx512(float* x, float shift, std::size_t n);
void bf16_keys_avx512(const Bf16Rows& x, std::int8_t* out);
void bf16_values_avx512(const Bf16Rows& x, std::int8_t* out);
void keep_floats_avx512(const float* x, const float* factors, const PairRows& out, std::size_t row);
void bf16_scores_avx512(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                        Rows<float> scores);
void bf16_sums_avx512(const PairRows& weights, const std::int8_t* values, Rows<float> y);
// For has_avx512_vnni().
void round_pair_avx512(const float* x, const float* factors, const PairRows& out, std::size_t row);
void code_scores_vnni(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                      Rows<float> scores);
void code_sums_vnni(const PairRows& weights, const std::int8_t* values, Rows<float> y);
// For has_amx_int8().
void code_scores_amx(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                     Rows<float> scores);
void query_columns_amx(const PairRows& queries, std::int8_t* out);
void row_scores_amx(const PairRows& queries, const std::int8_t* columns, const std::int8_t* keys,
                    std::size_t n, const float* scales, Rows<float> scores);
void code_sums_amx(const PairRows& weights, const std::int8_t* values, Rows<float> y);
extern const SleepyUnit kInt8Tiles;
// For has_amx_bf16().
extern const SleepyUnit kBf16Tiles;
void split_bf16_amx(const float* x, const float* factors, const PairRows& out, std::size_t row);
void bf16_scores_amx(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                     Rows<float> scores);
void bf16_sums_amx(const PairRows& weights, const std::int8_t* values, Rows<float> y);
#elif defined(KAKEYA_ARM_TARGETS)
// For has_neon_dotprod().
void round_pair_neon(const float* x, const float* factors, const PairRows& out, std::size_t row);
float exp_sum_neon(float* x, float shift, std::size_t n);
void code_scores_dotprod(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                         Rows<float> scores);
void code_sums_dotprod(const PairRows& weights, const std::int8_t* values, Rows<float> y);
// For has_neon_i8mm().
void code_scores_i8mm(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                      Rows<float> scores);
void code_sums_i8mm(const PairRows& weights, const std::int8_t* values, Rows<float> y);
#endif

}  // namespace kakeya::kernels
