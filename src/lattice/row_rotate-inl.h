// Norm, unit vector and Hadamard rotation of a row. Compiled once per instruction set by row_simd.cc.
// Included once per target: the guard toggles.
#if defined(KAKEYA_LATTICE_ROW_ROTATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_LATTICE_ROW_ROTATE_INL_H_
#undef KAKEYA_LATTICE_ROW_ROTATE_INL_H_
#else
#define KAKEYA_LATTICE_ROW_ROTATE_INL_H_
#endif
#undef KAKEYA_UNROLL

#include <algorithm>
#include <cmath>
#include <limits>

#include "lattice/row_internal.h"

// Full unrolling keeps arrays of vectors in registers.
#define KAKEYA_UNROLL HWY_UNROLL(8)

HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Adding it rounds |t| < 2^22 half to even; the integer then stands in the low mantissa bits.
inline constexpr float kRound = 0x1.8p23f;

template <std::size_t N>
using Floats = hn::FixedTag<float, N>;
template <std::size_t N>
using FloatVec = hn::Vec<Floats<N>>;

// Sums the lanes in halves: lane i takes lane i + n/2, down to one.
template <std::size_t N>
HWY_INLINE float fold_sum(FloatVec<N> v) {
  if constexpr (N > 4) {
    return fold_sum<N / 2>(hn::Add(hn::LowerHalf(Floats<N / 2>(), v), hn::UpperHalf(Floats<N / 2>(), v)));
  } else {
    v = hn::Add(v, hn::Shuffle1032(v));
    return hn::GetLane(hn::Add(v, hn::Shuffle2301(v)));
  }
}

template <std::size_t N>
HWY_INLINE float fold_max(FloatVec<N> v) {
  if constexpr (N > 4) {
    return fold_max<N / 2>(hn::Max(hn::LowerHalf(Floats<N / 2>(), v), hn::UpperHalf(Floats<N / 2>(), v)));
  } else {
    v = hn::Max(v, hn::Shuffle1032(v));
    return hn::GetLane(hn::Max(v, hn::Shuffle2301(v)));
  }
}

// Quotients by one divisor in [2^-60, 2^64), correctly rounded. With fused multiply-add: a quotient within
// one unit in the last place from the reciprocal in two parts, then one exact remainder (P. Markstein, IBM J.
// Res. Dev. 34, 1990). No remainder may underflow, so this is for dividends of at least
// 2^-90 max(divisor, 1).
template <std::size_t N>
class Divider {
 public:
  explicit HWY_INLINE Divider(float divisor)
      : divisor_(hn::Set(Floats<N>(), divisor)), high_(hn::Set(Floats<N>(), 1.0f / divisor)) {
    const auto one = hn::Set(Floats<N>(), 1.0f);
    low_ = hn::Mul(hn::NegMulAdd(high_, divisor_, one), high_);
  }

  // All 8 vectors of dividends below 2 in place, the divisor being below 2^27; zero quotients are +0.
  HWY_INLINE void divide_small(FloatVec<N>* v) const {
    const bool safe = normal_below_two(v);
    if (HWY_LIKELY(safe)) {
      KAKEYA_UNROLL
      for (std::size_t i = 0; i < 8; ++i) v[i] = normal(v[i]);
    } else {
      KAKEYA_UNROLL
      for (std::size_t i = 0; i < 8; ++i) v[i] = any(v[i]);
    }
  }
  // The quotients of the 8 vectors at x, for quotients that seldom reach 2 and a divisor of at least 2^-23:
  // a quotient of 2^-63 then comes from a dividend that is large enough.
  HWY_INLINE void divide_to_small(const float* x, FloatVec<N>* v) const {
    const Floats<N> d;
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) v[i] = normal(hn::LoadU(d, x + i * N));
    if (HWY_LIKELY(normal_below_two(v))) return;
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) v[i] = any(hn::LoadU(d, x + i * N));
  }

 private:
  // All magnitudes in [2^-63, 2): those with this bit of the exponent.
  static HWY_INLINE bool normal_below_two(const FloatVec<N>* v) {
    const hn::RebindToUnsigned<Floats<N>> du;
    auto bits = hn::BitCast(du, v[0]);
    KAKEYA_UNROLL
    for (std::size_t i = 1; i < 8; ++i) bits = hn::And(bits, hn::BitCast(du, v[i]));
    return hn::AllTrue(du, hn::TestBit(bits, hn::Set(du, 1u << 29)));
  }
  HWY_INLINE FloatVec<N> any(FloatVec<N> a) const {
    return hn::Add(hn::Div(a, divisor_), hn::Zero(Floats<N>()));
  }
  HWY_INLINE FloatVec<N> normal(FloatVec<N> a) const {
#if HWY_ARCH_X86 && HWY_NATIVE_FMA
    const auto q = hn::MulAdd(a, high_, hn::Mul(a, low_));
    return hn::MulAdd(hn::NegMulAdd(q, divisor_, a), high_, q);
#else
    return any(a);
#endif
  }

  FloatVec<N> divisor_, high_, low_;
};

template <std::size_t N>
HWY_INLINE float sum_of_squares(const float* x, std::size_t dim) {
  const Floats<N> d;
  constexpr std::size_t kSums = kNormSums / N;
  FloatVec<N> sums[kSums];
  KAKEYA_UNROLL
  for (std::size_t j = 0; j < kSums; ++j) sums[j] = hn::Zero(d);
  for (std::size_t i = 0; i < dim; i += kNormSums) {
    KAKEYA_UNROLL
    for (std::size_t j = 0; j < kSums; ++j) {
      const auto v = hn::LoadU(d, x + i + j * N);
      sums[j] = hn::Add(sums[j], hn::Mul(v, v));
    }
  }
  if constexpr (kSums == 8) {
    KAKEYA_UNROLL
    for (std::size_t j = 0; j < 4; ++j) sums[j] = hn::Add(sums[j], sums[j + 4]);
  }
  if constexpr (kSums >= 4) {
    sums[0] = hn::Add(sums[0], sums[2]);
    sums[1] = hn::Add(sums[1], sums[3]);
  }
  return fold_sum<N>(hn::Add(sums[0], sums[1]));
}

template <class V>
HWY_INLINE void butterfly(V& a, V& b) {
  const V sum = hn::Add(a, b);
  b = hn::Sub(a, b);
  a = sum;
}

// Butterflies between the vectors i and i + kHalf of eight.
template <std::size_t kHalf, class V>
HWY_INLINE void butterflies(V* v) {
  KAKEYA_UNROLL
  for (std::size_t p = 0; p < 4; ++p) {
    const std::size_t i = p / kHalf * 2 * kHalf + p % kHalf;
    butterfly(v[i], v[i + kHalf]);
  }
}

// Splits neighbours: even lanes of (v0, v1) and odd lanes, then the butterfly between them.
template <std::size_t N>
HWY_INLINE void split_butterfly(FloatVec<N> v0, FloatVec<N> v1, FloatVec<N>& even, FloatVec<N>& odd) {
  even = hn::ConcatEven(Floats<N>(), v1, v0);
  odd = hn::ConcatOdd(Floats<N>(), v1, v0);
  butterfly(even, odd);
}

// Eight vectors of consecutive values to eight vectors by coordinate, with the butterflies of strides
// 4N ... 8 before and 1, 2, 4 on the way.
template <std::size_t N>
HWY_INLINE void rotate_chunk(FloatVec<N>* v) {
  butterflies<4>(v);
  butterflies<2>(v);
  if constexpr (N >= kGroup) butterflies<1>(v);
  if constexpr (N > kGroup) {
    // Stride 8 lies inside a vector: halves swapped, plus the vector with its upper half negated.
    const Floats<N> d;
    const auto signs = hn::ConcatLowerLower(d, hn::Set(d, -1.0f), hn::Set(d, 1.0f));
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) v[i] = hn::MulAdd(v[i], signs, hn::ConcatLowerUpper(d, v[i], v[i]));
  }
  FloatVec<N> a[8];
  FloatVec<N> b[8];
  KAKEYA_UNROLL
  for (std::size_t j = 0; j < 4; ++j) split_butterfly<N>(v[2 * j], v[2 * j + 1], a[j], a[4 + j]);
  // a[0..3]: bit 0 of the coordinate is 0; a[4..7]: it is 1.
  KAKEYA_UNROLL
  for (std::size_t j = 0; j < 4; ++j) split_butterfly<N>(a[2 * j], a[2 * j + 1], b[j], b[4 + j]);
  // b[4 * bit 1 + 2 * bit 0 + half].
  KAKEYA_UNROLL
  for (std::size_t bits = 0; bits < 4; ++bits) {
    const std::size_t c = bits / 2 * 2 + bits % 2;
    split_butterfly<N>(b[4 * (bits / 2) + 2 * (bits % 2)], b[4 * (bits / 2) + 2 * (bits % 2) + 1], v[c],
                       v[4 + c]);
  }
}

// u = x / norm with the butterflies of strides dim / 2 ... 8N.
template <std::size_t N>
HWY_INLINE void divide_and_narrow(const float* x, std::size_t dim, const Divider<N>& norm, float* u) {
  const Floats<N> d;
  constexpr std::size_t kChunk = 8 * N;
  for (std::size_t first = 0; first < dim; first += kChunk) {
    FloatVec<N> v[8];
    norm.divide_to_small(x + first, v);
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) hn::Store(v[i], d, u + first + i * N);
  }
  for (std::size_t half = dim / 2; half >= kChunk; half /= 2) {
    for (std::size_t base = 0; base < dim; base += 2 * half) {
      for (std::size_t i = base; i < base + half; i += N) {
        auto a = hn::Load(d, u + i);
        auto b = hn::Load(d, u + i + half);
        butterfly(a, b);
        hn::Store(a, d, u + i);
        hn::Store(b, d, u + i + half);
      }
    }
  }
}

template <std::size_t N>
HWY_INLINE float norm_by(const float* x, std::size_t dim) {
  const float sum = sum_of_squares<N>(x, dim);
  return std::isfinite(sum) ? std::max(std::sqrt(sum), kEpsilon) : std::numeric_limits<float>::infinity();
}

// Returns the peak.
template <std::size_t N, bool kOneChunk>
HWY_INLINE float rotate_by(const float* x, std::size_t dim, float length, float* y) {
  const Floats<N> d;
  constexpr std::size_t kChunk = 8 * N;
  const Divider<N> norm(length);
  HWY_ALIGN float u[kOneChunk ? 1 : kMaxDim];
  if constexpr (!kOneChunk) divide_and_narrow<N>(x, dim, norm, u);
  const auto scale = hn::Set(d, rotation_scale(dim));
  auto peak = hn::Zero(d);
  const std::size_t groups = kOneChunk ? N : dim / kGroup;
  for (std::size_t chunk = 0; chunk < (kOneChunk ? 1 : dim / kChunk); ++chunk) {
    FloatVec<N> v[8];
    if constexpr (kOneChunk) {
      norm.divide_to_small(x, v);
    } else {
      KAKEYA_UNROLL
      for (std::size_t i = 0; i < 8; ++i) v[i] = hn::Load(d, u + chunk * kChunk + i * N);
    }
    rotate_chunk<N>(v);
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) {
      v[i] = hn::Mul(v[i], scale);
      hn::StoreU(v[i], d, y + i * groups + chunk * N);
    }
    const auto peak0 = hn::Max(hn::Max(hn::Abs(v[0]), hn::Abs(v[1])), hn::Max(hn::Abs(v[2]), hn::Abs(v[3])));
    const auto peak1 = hn::Max(hn::Max(hn::Abs(v[4]), hn::Abs(v[5])), hn::Max(hn::Abs(v[6]), hn::Abs(v[7])));
    peak = hn::Max(peak, hn::Max(peak0, peak1));
  }
  return std::max(kEpsilon, fold_max<N>(peak));
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();

#endif  // KAKEYA_LATTICE_ROW_ROTATE_INL_H_
