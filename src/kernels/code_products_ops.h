// The products of codes of each instruction set, for code_products.cc.
#pragma once
#include "kernels/code_products.h"

namespace kakeya::kernels {

// Below this largest magnitude of a row, kLargest / it may be no number; the row counts as zero.
inline constexpr float kTiniestPair = 0x1p-100f;

#if defined(__x86_64__)
// For has_avx512_vnni().
void round_pair_avx512(const float* x, const float* factors, const PairRows& out, std::size_t row);
void code_scores_vnni(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                      Rows<float> scores);
void code_sums_vnni(const PairRows& weights, const std::int8_t* values, Rows<float> y);
// For has_amx_int8().
void code_scores_amx(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                     Rows<float> scores);
void code_sums_amx(const PairRows& weights, const std::int8_t* values, Rows<float> y);
#endif

}  // namespace kakeya::kernels
