// Products of panels on 64-bit Arm: with the dot product instructions where the CPU has them, otherwise
// through widening multiplications. Four vectors of four hold the 16 outputs of a panel.
#include "kernels/panel_ops.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/panel_layout.h"
#include "kernels/panel_targets.h"

namespace kakeya::kernels {
namespace {
// Signed codes and activations to int32: sums of four neighbours, on top of `start`.
namespace widening {
#include "kernels/panel_tiles-inl.h"
KAKEYA_INLINE int32x4_t add_products(int32x4_t start, int8x16_t codes, int8x16_t four) {
  const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(four));
  const int16x8_t high = vmull_high_s8(codes, four);
  return vpadalq_s16(start, vpaddq_s16(low, high));
}
#include "kernels/panel_neon-inl.h"
// After the kernel of a few rows.
#include "kernels/panel_rows-inl.h"
}  // namespace widening
}  // namespace
}  // namespace kakeya::kernels

#if defined(KAKEYA_ARM_TARGETS)
KAKEYA_BEGIN_TARGET("arch=armv8.2-a+dotprod")
namespace kakeya::kernels {
namespace {
namespace dotprod {
#include "kernels/panel_tiles-inl.h"
KAKEYA_INLINE int32x4_t add_products(int32x4_t start, int8x16_t codes, int8x16_t four) {
  return vdotq_s32(start, codes, four);
}
#include "kernels/panel_neon-inl.h"
// After the kernel of a few rows.
#include "kernels/panel_rows-inl.h"
}  // namespace dotprod
}  // namespace
}  // namespace kakeya::kernels
KAKEYA_END_TARGET

#define KAKEYA_PANEL_MATRIX_PRODUCTS
KAKEYA_BEGIN_TARGET("arch=armv8.2-a+dotprod+i8mm")
namespace kakeya::kernels {
namespace {
namespace i8mm {
#include "kernels/panel_tiles-inl.h"
KAKEYA_INLINE int32x4_t add_products(int32x4_t start, int8x16_t codes, int8x16_t four) {
  return vdotq_s32(start, codes, four);
}
#include "kernels/panel_neon-inl.h"
// After the kernel of a few rows.
#include "kernels/panel_rows-inl.h"
}  // namespace i8mm
}  // namespace
}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif

namespace kakeya::kernels {

void panel_matmul_neon(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last) {
  widening::matmul(w, x, y, first, last);
}

#if defined(KAKEYA_ARM_TARGETS)
void panel_matmul_dotprod(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                          std::size_t last) {
  dotprod::matmul(w, x, y, first, last);
}

void panel_matmul_i8mm(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last) {
  i8mm::matmul(w, x, y, first, last);
}
#endif

}  // namespace kakeya::kernels
#endif
