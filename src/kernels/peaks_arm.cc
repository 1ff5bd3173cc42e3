// Int8 products of 64-bit Arm at full speed. The empty asm keeps every sum a value of its own in a register.
#include "kernels/peaks_ops.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstddef>

#include "kernels/panel_targets.h"

namespace kakeya::kernels {

void smull_rounds(std::uint64_t rounds) {
  constexpr std::size_t kSums = 8;
  int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(5);
  int32x4_t sums[kSums] = {};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    KAKEYA_UNROLL_ALL
    for (std::size_t s = 0; s < kSums; ++s) {
      asm volatile("" : "+w"(x), "+w"(y));
      const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
      sums[s] = vpadalq_s16(sums[s], vaddq_s16(low, vmull_high_s8(x, y)));
      asm volatile("" : "+w"(sums[s]));
    }
  }
}

}  // namespace kakeya::kernels

#if defined(KAKEYA_ARM_TARGETS)
KAKEYA_BEGIN_TARGET("arch=armv8.2-a+dotprod")
namespace kakeya::kernels {

void sdot_rounds(std::uint64_t rounds) {
  constexpr std::size_t kSums = 16;
  const int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(5);
  int32x4_t sums[kSums] = {};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    KAKEYA_UNROLL_ALL
    for (std::size_t s = 0; s < kSums; ++s) {
      sums[s] = vdotq_s32(sums[s], x, y);
      asm volatile("" : "+w"(sums[s]));
    }
  }
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET

KAKEYA_BEGIN_TARGET("arch=armv8.2-a+dotprod+i8mm")
namespace kakeya::kernels {

void smmla_rounds(std::uint64_t rounds) {
  constexpr std::size_t kSums = 16;
  const int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(5);
  int32x4_t sums[kSums] = {};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    KAKEYA_UNROLL_ALL
    for (std::size_t s = 0; s < kSums; ++s) {
      sums[s] = vmmlaq_s32(sums[s], x, y);
      asm volatile("" : "+w"(sums[s]));
    }
  }
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
#endif
