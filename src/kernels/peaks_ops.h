// The loops of peaks.cc, one per instruction. Operations a round count a multiplication and an addition each.
#pragma once
#include <cstdint>

#include "kernels/panel_ops.h"

// Loops over register arrays must be unrolled whole, or the arrays live in memory.
#if defined(__clang__)
#define KAKEYA_UNROLL_ALL _Pragma("unroll")
#else
#define KAKEYA_UNROLL_ALL _Pragma("GCC unroll 16")
#endif

namespace kakeya::kernels {

#if defined(__x86_64__)
// 12 times: 32 products of bytes, and the 16-bit addition that takes their pairs up.
inline constexpr std::uint64_t kMaddubsOps = 12 * 32 * 2;
void maddubs_rounds(std::uint64_t rounds);
// 12 times 32 products.
inline constexpr std::uint64_t kAvxVnniOps = 12 * 32 * 2;
void avx_vnni_rounds(std::uint64_t rounds);
// 16 times 64 products.
inline constexpr std::uint64_t kVnniOps = 16 * 64 * 2;
void vnni_rounds(std::uint64_t rounds);
// 4 tiles of 16 x 16 sums of 64 products.
inline constexpr std::uint64_t kAmxOps = 4 * 16 * 16 * 64 * 2;
void amx_rounds(std::uint64_t rounds);
#elif defined(__aarch64__)
// 8 times: 16 products to 16 bits, pairs of them added to 32 bits.
inline constexpr std::uint64_t kSmullOps = 8 * 16 * 2;
void smull_rounds(std::uint64_t rounds);
#if defined(KAKEYA_ARM_TARGETS)
// 16 times 16 products.
inline constexpr std::uint64_t kSdotOps = 16 * 16 * 2;
void sdot_rounds(std::uint64_t rounds);
// 16 times 2 x 2 sums of 8 products.
inline constexpr std::uint64_t kSmmlaOps = 16 * 32 * 2;
void smmla_rounds(std::uint64_t rounds);
#endif
#endif

}  // namespace kakeya::kernels
