// The row kernels through Highway: one source for x86 and Arm, compiled once per instruction set.

// EMU128 and SCALAR stay enabled because a build without SIMD flags needs a baseline; they get no table.
#ifndef KAKEYA_ALSO_DISABLED
#define KAKEYA_ALSO_DISABLED 0
#endif
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | KAKEYA_ALSO_DISABLED)

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lattice/row_simd.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which sets the target.
#include <hwy/highway.h>

#include "lattice/row_internal.h"

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
#include "lattice/row_quantize-inl.h"
#include "lattice/row_rotate-inl.h"
#include "lattice/row_unpack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {

// A row of 64 values has 8 groups: no more lanes than that.
inline constexpr std::size_t kLanes = HWY_MIN(HWY_MAX_BYTES / 4, 16);
inline constexpr std::size_t kFewLanes = HWY_MIN(kLanes, 8);

// As wide as the rotation of the same row: cores slow down where vector widths mix.
float norm(const float* x, std::size_t dim) {
  return dim == 8 * kFewLanes ? norm_by<kFewLanes>(x, dim) : norm_by<kLanes>(x, dim);
}

float rotate(const float* x, std::size_t dim, float length, float* y) {
  if (dim == 8 * kLanes) return rotate_by<kLanes, true>(x, dim, length, y);
  if (dim == 8 * kFewLanes) return rotate_by<kFewLanes, true>(x, dim, length, y);
  return rotate_by<kLanes, false>(x, dim, length, y);
}

bool quantize(const RowFormat& format, const float* y, float step, std::uint8_t* codes) {
  if (format.kind == Kind::kD4) {
    return format.dim == 64 ? quantize_by<Kind::kD4, kFewLanes>(format, y, step, codes)
                            : quantize_by<Kind::kD4, kLanes>(format, y, step, codes);
  }
  return format.dim == 64 ? quantize_by<Kind::kE8, kFewLanes>(format, y, step, codes)
                          : quantize_by<Kind::kE8, kLanes>(format, y, step, codes);
}

void unpack(const RowFormat& format, const std::uint8_t* codes, std::size_t stride, const std::uint8_t* end,
            std::span<const std::uint32_t> negate, Rows<float> tile) {
  if (format.kind == Kind::kD4) {
    unpack_by<Kind::kD4, kLanes>(format, codes, stride, end, negate, tile);
  } else {
    unpack_by<Kind::kE8, kLanes>(format, codes, stride, end, negate, tile);
  }
}

void scale(float factor, float* x, std::size_t dim) {
  const Floats<kLanes> d;
  const auto factors = hn::Set(d, factor);
  for (std::size_t i = 0; i < dim; i += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, x + i), factors), d, x + i);
}

constexpr RowKernels make_kernels(const char* name) {
  return {
      .name = name, .norm = norm, .rotate = rotate, .quantize = quantize, .unpack = unpack, .scale = scale};
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace kakeya::lattice {

const RowKernels* find_simd_row_kernels(std::string_view name) {
#if HWY_ARCH_X86
  const auto cpu = hwy::SupportedTargets();
#endif
#if HWY_TARGETS & HWY_SSE4
  static constexpr RowKernels kSse4 = N_SSE4::make_kernels("sse4");
  if (name == kSse4.name && (cpu & HWY_SSE4)) return &kSse4;
#endif
#if HWY_TARGETS & HWY_AVX2
  static constexpr RowKernels kAvx2 = N_AVX2::make_kernels("avx2");
  if (name == kAvx2.name && (cpu & HWY_AVX2)) return &kAvx2;
#endif
#if HWY_TARGETS & HWY_AVX3
  static constexpr RowKernels kAvx512 = N_AVX3::make_kernels("avx512");
  if (name == kAvx512.name && (cpu & HWY_AVX3)) return &kAvx512;
#endif
#if HWY_TARGETS & HWY_NEON
  static constexpr RowKernels kNeon = N_NEON::make_kernels("neon");  // every 64-bit Arm CPU has it
  if (name == kNeon.name) return &kNeon;
#endif
  return nullptr;
}

}  // namespace kakeya::lattice
#endif
