// Loads with remainders, shared by the SIMD kernels. Compiled once per CPU variant.
#if defined(KAKEYA_KERNELS_SIMD_COMMON_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_KERNELS_SIMD_COMMON_INL_H_
#undef KAKEYA_KERNELS_SIMD_COMMON_INL_H_
#else
#define KAKEYA_KERNELS_SIMD_COMMON_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstring>

#include "base/half.h"
#include "kernels/kernels.h"

// Loops over register arrays must be unrolled whole, or the arrays live in memory.
#if defined(__clang__)
#define KAKEYA_UNROLL _Pragma("unroll")
#else
#define KAKEYA_UNROLL _Pragma("GCC unroll 16")
#endif

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VecF = hn::Vec<F32>;
constexpr std::size_t kLanes = hn::MaxLanes(F32());

HWY_INLINE VecF load(const float* p) { return hn::LoadU(F32(), p); }
HWY_INLINE VecF load(const hwy::bfloat16_t* p) {
  const hn::Rebind<hwy::bfloat16_t, F32> half;
  return hn::PromoteTo(F32(), hn::LoadU(half, p));
}
HWY_INLINE VecF load(const hwy::float16_t* p) {
  const hn::Rebind<hwy::float16_t, F32> half;
  return hn::PromoteTo(F32(), hn::LoadU(half, p));
}

HWY_INLINE float to_float(const float* p) { return *p; }
HWY_INLINE float to_float(const hwy::bfloat16_t* p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof bits);
  return base::bf16_to_f32(bits);
}
HWY_INLINE float to_float(const hwy::float16_t* p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof bits);
  return base::f16_to_f32(bits);
}

// The first n < kLanes values, zeros behind them; reads nothing beyond.
template <class T>
HWY_INLINE VecF load_part(const T* p, std::size_t n) {
  HWY_ALIGN float buffer[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) buffer[i] = to_float(p + i);
  return hn::Load(F32(), buffer);
}

HWY_INLINE void store_part(VecF v, float* p, std::size_t n) {
  HWY_ALIGN float buffer[kLanes];
  hn::Store(v, F32(), buffer);
  for (std::size_t i = 0; i < n; ++i) p[i] = buffer[i];
}

HWY_INLINE float sum(VecF v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::kernels
HWY_AFTER_NAMESPACE();

#endif
