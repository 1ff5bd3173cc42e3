// The int8 and bf16 kernels of each instruction set, for the tables of scalar.cc and simd.cc. What they do:
// kernels.h.
#pragma once
#include "kernels/panels.h"
#include "kernels/split_rows.h"

namespace kakeya::kernels {

// Below this largest magnitude of a block, 127 / it is no number; the block counts as zero.
inline constexpr float kTiniestActivation = 0x1p-100f;

void quantise_rows_scalar(Rows<const float> x, const Int8Rows& out, std::size_t row, std::size_t column);
void panel_matmul_scalar(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                         std::size_t last);
#if defined(__x86_64__)
void panel_matmul_avx2(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last);
void panel_matmul_avx2_vnni(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                            std::size_t last);
void panel_matmul_vnni(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last);
void panel_matmul_amx(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first, std::size_t last);
void split_rows_amx(Rows<const float> x, const SplitRows& out, std::size_t row, std::size_t column);
void split_matmul_amx(const Weight& w, const SplitRows& x, Rows<float> y, std::size_t first,
                      std::size_t last);
#elif defined(__aarch64__)
void panel_matmul_neon(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last);
// Older clang knows these instructions only when the whole program is built for them.
#if !defined(__clang__) || __clang_major__ >= 16
#define KAKEYA_ARM_TARGETS
void panel_matmul_dotprod(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                          std::size_t last);
void panel_matmul_i8mm(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last);
#endif
#endif

}  // namespace kakeya::kernels
