// The Highway variants: one source for x86 and Arm, compiled once per instruction set.

// EMU128 and SCALAR stay enabled because a build without SIMD flags needs a baseline; they get no table.
#ifndef KAKEYA_ALSO_DISABLED
#define KAKEYA_ALSO_DISABLED 0
#endif
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | KAKEYA_ALSO_DISABLED)

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which sets the target.
#include <hwy/highway.h>

#include "kernels/panel_cpu.h"
#include "kernels/panel_ops.h"
#include "kernels/variants.h"

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
#include "kernels/simd_common-inl.h"
#include "kernels/simd_matmul-inl.h"
#include "kernels/simd_quantise-inl.h"
#include "kernels/simd_rows-inl.h"
#include "kernels/simd_unpack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels {
namespace HWY_NAMESPACE {

constexpr Table make_table(const char* name) {
  return {
      .name = name,
      .base = name,
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
      .quantise_rows = quantise_rows,
      .panel_matmul_range = panel_matmul_scalar,
  };
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::kernels
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace kakeya::kernels {
namespace {

constexpr Table with_products(Table table, const char* name, decltype(Table::panel_matmul_range) product) {
  table.name = name;
  table.panel_matmul_range = product;
  return table;
}

}  // namespace

void append_simd_tables(std::vector<const Table*>& out) {
#if HWY_ARCH_X86
  const auto cpu = hwy::SupportedTargets();
#endif
#if HWY_TARGETS & HWY_SSE4
  static constexpr Table kSse4 = N_SSE4::make_table("sse4");
  if (cpu & HWY_SSE4) out.push_back(&kSse4);
#endif
#if HWY_TARGETS & HWY_AVX2
  static constexpr Table kAvx2 = with_products(N_AVX2::make_table("avx2"), "avx2", panel_matmul_avx2);
  if (cpu & HWY_AVX2) out.push_back(&kAvx2);
  static constexpr Table kAvx2Vnni = with_products(kAvx2, "avx2_vnni", panel_matmul_avx2_vnni);
  if ((cpu & HWY_AVX2) && has_avx_vnni()) out.push_back(&kAvx2Vnni);
#endif
#if HWY_TARGETS & HWY_AVX3
  static constexpr Table kAvx512 = with_products(N_AVX3::make_table("avx512"), "avx512", panel_matmul_avx2);
  if (cpu & HWY_AVX3) out.push_back(&kAvx512);
  static constexpr Table kVnni = with_products(kAvx512, "avx512_vnni", panel_matmul_vnni);
  if ((cpu & HWY_AVX3) && has_avx512_vnni()) out.push_back(&kVnni);
  static const Table kAmx = [] {
    Table table = with_products(kAvx512, "amx", panel_matmul_amx);
    if (!has_amx_bf16()) return table;
    table.split_rows = split_rows_amx;
    table.split_matmul_range = split_matmul_amx;
    return table;
  }();
  if ((cpu & HWY_AVX3) && has_amx_int8()) out.push_back(&kAmx);
#endif
#if HWY_TARGETS & HWY_NEON
  static constexpr Table kNeon =
      with_products(N_NEON::make_table("neon"), "neon", panel_matmul_neon);  // every 64-bit Arm CPU has it
  out.push_back(&kNeon);
#if defined(KAKEYA_ARM_TARGETS)
  static constexpr Table kDotprod = with_products(kNeon, "neon_dotprod", panel_matmul_dotprod);
  if (has_neon_dotprod()) out.push_back(&kDotprod);
  static constexpr Table kI8mm = with_products(kNeon, "neon_i8mm", panel_matmul_i8mm);
  if (has_neon_i8mm()) out.push_back(&kI8mm);
#endif
#endif
}

}  // namespace kakeya::kernels
#endif
