// Products of codes on 64-bit Arm, with the dot products of bytes or with products of 2 x 8 by 8 x 2 bytes.
#include "kernels/code_products_ops.h"

#if defined(KAKEYA_ARM_TARGETS)
#include <arm_neon.h>

#include <cstring>

#include "kernels/panel_targets.h"

namespace kakeya::kernels {
namespace {

// 16 columns of codes: chunks of [16, 16 columns, 4 codes], the 64 dims of keys or 64 rows of values that a
// column is multiplied with.
struct Columns {
  const std::int8_t* codes;
  std::size_t chunks, stride;
};
constexpr std::size_t kChunk = 64, kChunkSteps = kChunk / 4;

// exp(x - shift) for the 16 values at x, in place.
KAKEYA_INLINE void exponentials(float* x, float32x4_t shift) {
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 16; i += 4) {
    const float32x4_t power =
        vmaxq_f32(vmulq_n_f32(vsubq_f32(vld1q_f32(x + i), shift), kLog2E), vdupq_n_f32(kLeastExponent));
    const float32x4_t whole = vrndnq_f32(power);
    const float32x4_t f = vsubq_f32(power, whole);
    float32x4_t p = vdupq_n_f32(kExp2Terms[0]);
    KAKEYA_UNROLL
    for (int t = 1; t < 6; ++t) p = vfmaq_f32(vdupq_n_f32(kExp2Terms[t]), p, f);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, f);
    const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(whole), vdupq_n_s32(127));
    vst1q_f32(x + i, vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23))));
  }
}

}  // namespace

float exp_sum_neon(float* x, float shift, std::size_t n) {
  const float32x4_t shifts = vdupq_n_f32(shift);
  float32x4_t total[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
  const auto add = [&](const float* from) __attribute__((always_inline)) {
    for (std::size_t k = 0; k < 4; ++k) total[k] = vaddq_f32(total[k], vld1q_f32(from + 4 * k));
  };
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    exponentials(x + i, shifts);
    add(x + i);
  }
  if (i < n) {
    float rest[16];
    std::fill_n(rest, 16, shift);
    std::copy_n(x + i, n - i, rest);
    exponentials(rest, shifts);
    std::copy_n(rest, n - i, x + i);
    std::fill(rest + (n - i), rest + 16, 0.0f);
    add(rest);
  }
  const float32x4_t four = vaddq_f32(vaddq_f32(total[0], total[2]), vaddq_f32(total[1], total[3]));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

void round_pair_neon(const float* x, const float* factors, const PairRows& out, std::size_t row) {
  std::int8_t* high = out.high(row);
  std::int8_t* low = out.low(row);
  const auto value = [&](std::size_t i) __attribute__((always_inline)) {
    const float32x4_t v = vld1q_f32(x + i);
    return factors != nullptr ? vmulq_f32(v, vld1q_f32(factors + i)) : v;
  };
  // Of the bits without sign: NaN is above infinity, infinity above all numbers.
  uint32x4_t most = vdupq_n_u32(0);
  for (std::size_t i = 0; i < out.cols; i += 4) {
    most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(value(i))));
  }
  const std::uint32_t bits = vmaxvq_u32(most);
  float largest = 0;
  std::memcpy(&largest, &bits, sizeof largest);
  constexpr auto kTop = static_cast<float>(PairRows::kLargest);
  const bool usable = bits < 0x7f800000 && largest >= kTiniestPair;
  out.steps[row] = usable ? largest / kTop : bits < 0x7f800000 ? 0.0f : __builtin_nanf("");
  if (!usable) {
    std::memset(high, 0, out.cols);
    std::memset(low, 0, out.cols);
    return;
  }
  const float inverse = kTop / largest;
  // code + 64 = 128 high + (low + 64)
  const auto codes = [&](std::size_t i) __attribute__((always_inline)) {
    const int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(value(i), inverse));
    const int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(value(i + 4), inverse));
    return vaddq_s16(vcombine_s16(vmovn_s32(a), vmovn_s32(b)), vdupq_n_s16(64));
  };
  for (std::size_t i = 0; i < out.cols; i += 16) {
    const int16x8_t a = codes(i), b = codes(i + 8), rest = vdupq_n_s16(127);
    vst1q_s8(high + i, vcombine_s8(vshrn_n_s16(a, 7), vshrn_n_s16(b, 7)));
    const int8x16_t bottom = vcombine_s8(vmovn_s16(vandq_s16(a, rest)), vmovn_s16(vandq_s16(b, rest)));
    vst1q_s8(low + i, vsubq_s8(bottom, vdupq_n_s8(64)));
  }
}

}  // namespace kakeya::kernels

KAKEYA_BEGIN_TARGET("arch=armv8.2-a+dotprod")
namespace kakeya::kernels {
namespace {
namespace dotprod {

// Sums need four instructions and more in flight for every unit that multiplies.
template <std::size_t R>
constexpr std::size_t kColumnVectors = R <= 2 ? 4 : 2;

template <std::size_t R>
struct Operand {
  const std::int8_t* high;
  const std::int8_t* low;
  std::size_t cols;

  Operand(const PairRows& rows, std::size_t first)
      : high(rows.high(first)), low(rows.low(first)), cols(rows.cols) {}
};

template <std::size_t R>
using Accumulators = int32x4_t[R][kColumnVectors<R>];

template <std::size_t R, int kLane>
KAKEYA_INLINE void add_products(const std::int8_t* codes, const int8x16_t (&high)[R],
                                const int8x16_t (&low)[R], Accumulators<R>& highs, Accumulators<R>& lows) {
  KAKEYA_UNROLL
  for (std::size_t c = 0; c < kColumnVectors<R>; ++c) {
    const int8x16_t column = vld1q_s8(codes + 64 * kLane + 16 * c);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      highs[r][c] = vdotq_laneq_s32(highs[r][c], column, high[r], kLane);
      lows[r][c] = vdotq_laneq_s32(lows[r][c], column, low[r], kLane);
    }
  }
}

template <std::size_t R>
KAKEYA_INLINE void multiply(const Operand<R>& x, const Columns& columns, std::size_t at,
                            Accumulators<R>& sums) {
  Accumulators<R> highs, lows;
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t c = 0; c < kColumnVectors<R>; ++c) highs[r][c] = lows[r][c] = vdupq_n_s32(0);
  }
  std::size_t i = 0;
  for (std::size_t chunk = 0; chunk < columns.chunks; ++chunk) {
    const std::int8_t* codes = columns.codes + chunk * columns.stride + 16 * at;
    for (std::size_t step = 0; step < kChunkSteps; step += 4, codes += 4 * 64, i += 16) {
      int8x16_t high[R], low[R];
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        high[r] = vld1q_s8(x.high + r * x.cols + i);
        low[r] = vld1q_s8(x.low + r * x.cols + i);
      }
      add_products<R, 0>(codes, high, low, highs, lows);
      add_products<R, 1>(codes, high, low, highs, lows);
      add_products<R, 2>(codes, high, low, highs, lows);
      add_products<R, 3>(codes, high, low, highs, lows);
    }
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t c = 0; c < kColumnVectors<R>; ++c) {
      sums[r][c] = vaddq_s32(vshlq_n_s32(highs[r][c], 7), lows[r][c]);
    }
  }
}

#include "kernels/code_products_neon-inl.h"

}  // namespace dotprod
}  // namespace

void code_scores_dotprod(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                         Rows<float> scores) {
  dotprod::scores(queries, keys, n, scales, scores);
}
void code_sums_dotprod(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  dotprod::sums(weights, values, y);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET

KAKEYA_BEGIN_TARGET("arch=armv8.2-a+dotprod+i8mm")
namespace kakeya::kernels {
namespace {
namespace i8mm {

template <std::size_t R>
constexpr std::size_t kColumnVectors = R <= 2 ? 4 : 2;

// High and low bytes of a row side by side: [cols / 8, R, high 8, low 8].
template <std::size_t R>
class Operand {
 public:
  Operand(const PairRows& rows, std::size_t first) {
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t i = 0; i < rows.cols; i += 8) {
        std::int8_t* to = codes_ + (i / 8 * R + r) * 16;
        vst1_s8(to, vld1_s8(rows.high(first + r) + i));
        vst1_s8(to + 8, vld1_s8(rows.low(first + r) + i));
      }
    }
  }
  const std::int8_t* codes() const { return codes_; }

 private:
  std::int8_t codes_[R * kMostProducts * 2];
};

// A product holds high . a, high . b, low . a, low . b of two columns a, b.
template <std::size_t R>
KAKEYA_INLINE void multiply(const Operand<R>& x, const Columns& columns, std::size_t at,
                            int32x4_t (&sums)[R][kColumnVectors<R>]) {
  constexpr std::size_t kVectors = kColumnVectors<R>;
  int32x4_t left[R][kVectors], right[R][kVectors];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t c = 0; c < kVectors; ++c) left[r][c] = right[r][c] = vdupq_n_s32(0);
  }
  const std::int8_t* rows = x.codes();
  for (std::size_t chunk = 0; chunk < columns.chunks; ++chunk) {
    const std::int8_t* codes = columns.codes + chunk * columns.stride + 16 * at;
    for (std::size_t step = 0; step < kChunkSteps; step += 4, codes += 4 * 64, rows += 2 * 16 * R) {
      KAKEYA_UNROLL
      for (std::size_t s = 0; s < 2; ++s) {
        int8x16_t row[R];
        KAKEYA_UNROLL
        for (std::size_t r = 0; r < R; ++r) row[r] = vld1q_s8(rows + 16 * (R * s + r));
        KAKEYA_UNROLL
        for (std::size_t c = 0; c < kVectors; ++c) {
          const int32x4_t a = vreinterpretq_s32_s8(vld1q_s8(codes + 128 * s + 16 * c));
          const int32x4_t b = vreinterpretq_s32_s8(vld1q_s8(codes + 128 * s + 64 + 16 * c));
          const int8x16_t first = vreinterpretq_s8_s32(vzip1q_s32(a, b));
          const int8x16_t second = vreinterpretq_s8_s32(vzip2q_s32(a, b));
          KAKEYA_UNROLL
          for (std::size_t r = 0; r < R; ++r) {
            left[r][c] = vmmlaq_s32(left[r][c], row[r], first);
            right[r][c] = vmmlaq_s32(right[r][c], row[r], second);
          }
        }
      }
    }
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t c = 0; c < kVectors; ++c) {
      const int32x4_t high = vcombine_s32(vget_low_s32(left[r][c]), vget_low_s32(right[r][c]));
      const int32x4_t low = vcombine_s32(vget_high_s32(left[r][c]), vget_high_s32(right[r][c]));
      sums[r][c] = vaddq_s32(vshlq_n_s32(high, 7), low);
    }
  }
}

#include "kernels/code_products_neon-inl.h"

}  // namespace i8mm
}  // namespace

void code_scores_i8mm(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                      Rows<float> scores) {
  i8mm::scores(queries, keys, n, scales, scores);
}
void code_sums_i8mm(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  i8mm::sums(weights, values, y);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
