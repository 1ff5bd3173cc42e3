// Activations rounded to int8 for products of panels.
#if defined(KAKEYA_KERNELS_SIMD_QUANTISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_KERNELS_SIMD_QUANTISE_INL_H_
#undef KAKEYA_KERNELS_SIMD_QUANTISE_INL_H_
#else
#define KAKEYA_KERNELS_SIMD_QUANTISE_INL_H_
#endif

#include <limits>

#include "kernels/panel_ops.h"
#include "kernels/simd_common-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE void quantise_block(const float* x, const Int8Rows& group, std::size_t at) {
  const hn::RebindToSigned<F32> i32;
  const hn::Rebind<std::int8_t, F32> i8;
  constexpr std::size_t kVectors = kActivationBlock / kLanes;
  VecF values[kVectors];
  VecF largest_lanes = hn::Zero(F32());
  auto finite = hn::Eq(largest_lanes, largest_lanes);
  KAKEYA_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) {
    values[v] = load(x + v * kLanes);
    const VecF magnitude = hn::Abs(values[v]);
    finite = hn::And(finite, hn::Le(magnitude, hn::Set(F32(), std::numeric_limits<float>::max())));
    largest_lanes = hn::Max(largest_lanes, magnitude);
  }
  std::int8_t* codes = group.codes + at * kActivationBlock;
  const float largest = hn::GetLane(hn::MaxOfLanes(F32(), largest_lanes));
  const bool number = hn::AllTrue(F32(), finite);
  if (!number || largest < kTiniestActivation) {
    std::memset(codes, 0, kActivationBlock);
    group.scales[at] = number ? 0.0f : std::numeric_limits<float>::quiet_NaN();
    group.scaled_sums[at] = group.scales[at];
    group.negative_sums[2 * at] = group.negative_sums[2 * at + 1] = 0;
    return;
  }
  const VecF inverse = hn::Set(F32(), 127.0f / largest);
  auto first = hn::Zero(i32), second = first;
  KAKEYA_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) {
    const auto rounded = hn::NearestInt(hn::Mul(values[v], inverse));
    hn::StoreU(hn::DemoteTo(i8, rounded), i8, codes + v * kLanes);
    if (v < kVectors / 2) first = hn::Add(first, rounded);
    if (v >= kVectors / 2) second = hn::Add(second, rounded);
  }
  const std::int32_t first_sum = hn::GetLane(hn::SumOfLanes(i32, first));
  const std::int32_t all = first_sum + hn::GetLane(hn::SumOfLanes(i32, second));
  group.scales[at] = largest / 127.0f;
  group.negative_sums[2 * at] = -all;
  group.negative_sums[2 * at + 1] = -first_sum;
  group.scaled_sums[at] = group.scales[at] * static_cast<float>(all);
}

void quantise_rows(Rows<const float> x, const Int8Rows& out, std::size_t row, std::size_t column) {
  const std::size_t first = column / kActivationBlock;
  for (std::size_t r = 0; r < x.rows; ++r) {
    const Int8Rows group = out.group((row + r) / Int8Rows::kGroup);
    const float* values = x.data + r * x.stride;
    const std::size_t at = first * group.rows + (row + r) % Int8Rows::kGroup;
    for (std::size_t b = 0; b < x.cols / kActivationBlock; ++b) {
      quantise_block(values + b * kActivationBlock, group, at + b * group.rows);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::kernels
HWY_AFTER_NAMESPACE();

#endif
