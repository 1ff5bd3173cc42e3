// Floats to ggml's blocks: for every sub-block a short search for the scale (and minimum) of least weighted
// error, then the 6 or 8 bit scales, then the codes against the scales as stored. The searches follow the
// criteria of ggml's reference quantisers. No importance matrix.
//
// Plain loops over kLanes partial sums, compiled once per CPU variant (CMake asks for -O3): the sums keep
// their order, so every variant writes the same blocks.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/half.h"
#include "kernels/block_scales.h"
#include "kernels/blocks.h"

// As in simd.cc.
#ifndef KAKEYA_ALSO_DISABLED
#define KAKEYA_ALSO_DISABLED 0
#endif
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | KAKEYA_ALSO_DISABLED)

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/blocks_quantise.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which sets the target.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels::HWY_NAMESPACE {
namespace {

constexpr std::size_t kLanes = 8;
// Eight partial sums; one, two or four registers.
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

constexpr float kLargestHalf = 65504.0f;
// No block can hold more; what exceeds it is clipped before sums of cubes can overflow.
constexpr float kLargestValue = 1e9f;
// A group of smaller values is zero in every type: fp16 scales end at 6e-8.
constexpr float kZeroBelow = 1e-15f;

// Round to nearest even; |x| < 2^22.
float nearest(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  return (x + kShift) - kShift;
}

Lanes load(const float* x) {
  Lanes lanes;
  std::memcpy(&lanes, x, sizeof lanes);
  return lanes;
}

// (x - from) * by, rounded to the nearest whole number from `low` to `high`.
Lanes codes_of(Lanes x, float from, float by, float low, float high) {
  const Lanes exact = (x - from) * by;
  const Lanes floor = Lanes{} + low, ceiling = Lanes{} + high;
  const Lanes below = exact < ceiling ? exact : ceiling;
  const Lanes inside = below > floor ? below : floor;
  constexpr float kShift = 12582912.0f;  // as in nearest
  return (inside + kShift) - kShift;
}

float reduce(const Lanes& lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// Scales saturate: an infinite one would turn the block into NaN.
std::uint16_t to_half(float scale) {
  return base::f32_to_f16(std::clamp(scale, -kLargestHalf, kLargestHalf));
}

// The value of largest magnitude, with its sign; the first one on ties.
float peak(const float* x, std::size_t n) {
  float best = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::abs(x[i]) > std::abs(best)) best = x[i];
  }
  return best;
}

void pack(const float* x, BlockQ8_0& block) {
  const float d = std::min(std::abs(peak(x, 32)) / 127.0f, kLargestHalf);
  block = {};
  block.d = to_half(d);
  if (block.d == 0) return;
  const float inverse = 1.0f / d;
  for (std::size_t i = 0; i < 32; ++i) {
    // Halves go away from zero, as in ggml; a library call here would cost more than all the rest.
    const float exact = std::clamp(x[i] * inverse, -127.0f, 127.0f);
    const int whole = static_cast<int>(exact);
    const float rest = exact - static_cast<float>(whole);
    block.qs[i] = static_cast<std::int8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f));
  }
}

void pack(const float* x, BlockQ4_0& block) {
  // The peak itself becomes code 0 (-8), the only code without a mirror image.
  const float d = std::clamp(peak(x, 32) / -8.0f, -kLargestHalf, kLargestHalf);
  block = {};
  block.d = to_half(d);
  const float inverse = (block.d & 0x7fffu) == 0 ? 0.0f : 1.0f / d;
  const auto code = [inverse](float value) {
    return static_cast<unsigned>(std::clamp(value * inverse + 8.5f, 0.0f, 15.0f));
  };
  for (std::size_t i = 0; i < 16; ++i) {
    block.qs[i] = static_cast<std::uint8_t>(code(x[i]) | code(x[i + 16]) << 4);
  }
}

// A sub-block of Q4_K or Q5_K as scale * code - min, both >= 0.
struct Fit {
  float scale = 0, min = 0;
};

// Sums over one sub-block for one choice of codes l, with u = x - lowest x.
struct Sums {
  float l = 0, ll = 0, lu = 0;
};

// Codes are (u - origin) * inverse, rounded and cut to 0..levels.
Sums code_sums(const float* u, const float* w, float origin, float inverse, float levels) {
  Lanes l = {}, ll = {}, lu = {};
  for (std::size_t i = 0; i < 32; i += kLanes) {
    const Lanes value = load(u + i);
    const Lanes code = codes_of(value, origin, inverse, 0.0f, levels);
    const Lanes weighted = load(w + i) * code;
    l += weighted;
    ll += weighted * code;
    lu += weighted * value;
  }
  return {reduce(l), reduce(ll), reduce(lu)};
}

// Least weighted squares over codes of a few trial scales (levels + first + 0.1 * step) / range. Every fit
// that is the best so far moves the origin from which the next codes are counted.
Fit fit_sub_block(const float* x, int levels, float first, int steps) {
  Lanes square = {};
  for (std::size_t i = 0; i < 32; i += kLanes) square += load(x + i) * load(x + i);
  const float rms = std::sqrt(reduce(square) / 32.0f);
  const float lowest = std::min(*std::min_element(x, x + 32), 0.0f);
  const float range = *std::max_element(x, x + 32) - lowest;
  if (!(range > kZeroBelow)) return {0, -lowest};
  float u[32], w[32];
  double sum_w = 0, sum_u = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    u[i] = x[i] - lowest;
    w[i] = rms + std::abs(x[i]);
    sum_w += w[i];
    sum_u += static_cast<double>(w[i]) * u[i];
  }
  Fit best = {range / static_cast<float>(levels), -lowest};
  // Errors are up to the constant sum of w u^2; the first to beat is that of the unfitted scale.
  const Sums plain = code_sums(u, w, 0, static_cast<float>(levels) / range, static_cast<float>(levels));
  double best_error = double{best.scale} * (double{best.scale} * plain.ll - 2 * plain.lu);
  float origin = 0;
  for (int step = 0; step <= steps; ++step) {
    const float inverse =
        (static_cast<float>(levels) + first + 0.1f * static_cast<float>(step)) / (range - origin);
    const Sums s = code_sums(u, w, origin, inverse, static_cast<float>(levels));
    const double l = s.l, ll = s.ll, lu = s.lu;
    const double determinant = sum_w * ll - l * l;
    if (!(determinant > 0)) continue;
    double scale = (sum_w * lu - sum_u * l) / determinant;
    double offset = (ll * sum_u - l * lu) / determinant;
    if (offset + lowest > 0) {  // the format subtracts a minimum and cannot add one
      offset = -static_cast<double>(lowest);
      scale = (lu - offset * l) / ll;
    }
    const double error = scale * (scale * ll + 2 * (offset * l - lu)) + offset * (offset * sum_w - 2 * sum_u);
    if (error < best_error) {
      best_error = error;
      best = {static_cast<float>(scale), -static_cast<float>(offset + lowest)};
      origin = static_cast<float>(offset);
    }
  }
  return best;
}

int six_bits(float value, float unit) {
  return unit > 0 ? static_cast<int>(std::min(nearest(std::min(value / unit, 63.0f)), 63.0f)) : 0;
}

// Squared error of a sub-block with its scale and minimum as stored.
float stored_error(const float* x, float scale, float min, float levels) {
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  Lanes sum = {};
  for (std::size_t i = 0; i < 32; i += kLanes) {
    const Lanes value = load(x + i);
    const Lanes error = codes_of(value, -min, inverse, 0.0f, levels) * scale - min - value;
    sum += error * error;
  }
  return reduce(sum);
}

// The six-bit pair of least error among the rounded fit and its neighbours.
SubScale choose_sub_scale(const float* x, Fit fit, float d, float dmin, float levels) {
  const int scale = six_bits(fit.scale, d), min = six_bits(fit.min, dmin);
  SubScale best;
  float best_error = INFINITY;
  for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, 63); ++s) {
    for (int m = std::max(min - 1, 0); m <= std::min(min + 1, 63); ++m) {
      const float error = stored_error(x, d * static_cast<float>(s), dmin * static_cast<float>(m), levels);
      if (!(error < best_error)) continue;
      best_error = error;
      best = {static_cast<std::uint8_t>(s), static_cast<std::uint8_t>(m)};
    }
  }
  return best;
}

void pack_fifth_bit(BlockQ4K&, std::size_t, std::size_t, unsigned) {}
void pack_fifth_bit(BlockQ5K& block, std::size_t s, std::size_t i, unsigned code) {
  block.qh[i] = static_cast<std::uint8_t>(block.qh[i] | (code >> 4) << s);
}

template <class Block>
void pack_k(const float* x, int levels, float first, int steps, Block& block) {
  Fit fits[8];
  Fit largest;
  for (std::size_t s = 0; s < 8; ++s) {
    fits[s] = fit_sub_block(x + 32 * s, levels, first, steps);
    fits[s].scale = std::max(fits[s].scale, 0.0f);
    fits[s].min = std::max(fits[s].min, 0.0f);
    largest.scale = std::max(largest.scale, fits[s].scale);
    largest.min = std::max(largest.min, fits[s].min);
  }
  block = {};
  block.d = to_half(largest.scale / 63.0f);
  block.dmin = to_half(largest.min / 63.0f);
  const float d = base::f16_to_f32(block.d), dmin = base::f16_to_f32(block.dmin);
  for (std::size_t s = 0; s < 8; ++s) {
    const SubScale sub = choose_sub_scale(x + 32 * s, fits[s], d, dmin, static_cast<float>(levels));
    set_sub_scale(block.scales, s, sub);
    const float scale = d * static_cast<float>(sub.scale);
    const float min = dmin * static_cast<float>(sub.min);
    if (scale == 0) continue;  // any code is as good
    for (std::size_t i = 0; i < 32; ++i) {
      const float exact = (x[32 * s + i] + min) / scale;
      const auto code = static_cast<unsigned>(nearest(std::clamp(exact, 0.0f, static_cast<float>(levels))));
      std::uint8_t& nibbles = block.qs[s / 2 * 32 + i];
      nibbles = static_cast<std::uint8_t>(nibbles | (code & 15) << (s % 2 * 4));
      pack_fifth_bit(block, s, i, code);
    }
  }
}

void pack(const float* x, BlockQ4K& block) { pack_k(x, 15, -1.0f, 20, block); }
void pack(const float* x, BlockQ5K& block) { pack_k(x, 31, -0.5f, 15, block); }

// Scale of 16 values for codes -32..31: of 19 trial scales the one whose least-squares refit explains most,
// values weighted by their square.
float fit_signed(const float* x) {
  const float top = peak(x, 16);
  if (std::abs(top) < kZeroBelow) return 0;
  float best_gain = 0, scale = 0;
  for (int step = 0; step < 19; ++step) {
    // The plain scale first: the others must be truly better.
    const int shift = step == 0 ? 0 : step <= 9 ? step - 10 : step - 9;
    const float inverse = -(32.0f + 0.1f * static_cast<float>(shift)) / top;
    Lanes lx = {}, ll = {};
    for (std::size_t i = 0; i < 16; i += kLanes) {
      const Lanes value = load(x + i);
      const Lanes code = codes_of(value, 0.0f, inverse, -32.0f, 31.0f);
      const Lanes weighted = value * value * code;
      lx += weighted * value;
      ll += weighted * code;
    }
    const float sum_lx = reduce(lx), sum_ll = reduce(ll);
    if (sum_ll > 0 && sum_lx * sum_lx > best_gain * sum_ll) {
      scale = sum_lx / sum_ll;
      best_gain = scale * sum_lx;
    }
  }
  return scale;
}

// The stored scale of least squared error among the rounded one and its neighbours.
std::int8_t choose_signed_scale(const float* x, float wanted, float d) {
  const auto middle = static_cast<int>(nearest(std::clamp(wanted / d, -128.0f, 127.0f)));
  std::int8_t best = 0;
  float best_error = INFINITY;
  for (int s = std::max(middle - 1, -128); s <= std::min(middle + 1, 127); ++s) {
    const float scale = d * static_cast<float>(s);
    const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
    Lanes sum = {};
    for (std::size_t i = 0; i < 16; i += kLanes) {
      const Lanes value = load(x + i);
      const Lanes error = codes_of(value, 0.0f, inverse, -32.0f, 31.0f) * scale - value;
      sum += error * error;
    }
    if (const float error = reduce(sum); error < best_error) {
      best_error = error;
      best = static_cast<std::int8_t>(s);
    }
  }
  return best;
}

void pack(const float* x, BlockQ6K& block) {
  float scales[16];
  for (std::size_t s = 0; s < 16; ++s) scales[s] = fit_signed(x + 16 * s);
  block = {};
  block.d = to_half(peak(scales, 16) / -128.0f);
  const float d = base::f16_to_f32(block.d);
  for (std::size_t s = 0; s < 16; ++s) {
    block.scales[s] = d == 0 ? std::int8_t{0} : choose_signed_scale(x + 16 * s, scales[s], d);
  }
  for (std::size_t i = 0; i < 256; ++i) {
    const float scale = d * static_cast<float>(block.scales[i / 16]);
    const float exact = scale == 0 ? 0.0f : x[i] / scale;
    const auto code = static_cast<unsigned>(nearest(std::clamp(exact, -32.0f, 31.0f)) + 32.0f);
    const std::size_t half = i / 128, j = i % 128;
    std::uint8_t& low = block.ql[half * 64 + j % 64];
    std::uint8_t& high = block.qh[half * 32 + j % 32];
    low = static_cast<std::uint8_t>(low | (code & 15) << (j / 64 * 4));
    high = static_cast<std::uint8_t>(high | (code >> 4) << (j / 32 * 2));
  }
}

template <class Block, std::size_t kValues>
void pack_row(const float* x, std::size_t n, void* blocks) {
  for (std::size_t b = 0; b < n / kValues; ++b) {
    float values[kValues];
    for (std::size_t i = 0; i < kValues; ++i) {
      values[i] = std::clamp(x[b * kValues + i], -kLargestValue, kLargestValue);
    }
    Block block;
    pack(values, block);
    std::memcpy(static_cast<std::byte*>(blocks) + b * sizeof(Block), &block, sizeof(Block));
  }
}

}  // namespace

void quantise_row_here(WeightType type, const float* x, std::size_t n, void* blocks) {
  KAKEYA_CHECK(n % block_values(type) == 0);
  switch (type) {
    case WeightType::kQ8_0:
      return pack_row<BlockQ8_0, 32>(x, n, blocks);
    case WeightType::kQ4_0:
      return pack_row<BlockQ4_0, 32>(x, n, blocks);
    case WeightType::kQ4K:
      return pack_row<BlockQ4K, 256>(x, n, blocks);
    case WeightType::kQ5K:
      return pack_row<BlockQ5K, 256>(x, n, blocks);
    case WeightType::kQ6K:
      return pack_row<BlockQ6K, 256>(x, n, blocks);
    default:
      KAKEYA_CHECK(type == WeightType::kQ8_0);  // only the block types have a quantiser
  }
}

}  // namespace kakeya::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kakeya::kernels {

HWY_EXPORT(quantise_row_here);

void quantise_row(WeightType type, const float* x, std::size_t n, void* blocks) {
  HWY_DYNAMIC_DISPATCH(quantise_row_here)(type, x, n, blocks);
}

}  // namespace kakeya::kernels
#endif
