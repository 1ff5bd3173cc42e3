// Norm, unit vector and Hadamard rotation of a row. Compiled once per instruction set by row_simd.cc.
// Included once per target: the guard toggles.
#if defined(KAKEYA_LATTICE_ROW_ROTATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_LATTICE_ROW_ROTATE_INL_H_
#undef KAKEYA_LATTICE_ROW_ROTATE_INL_H_
#else
#define KAKEYA_LATTICE_ROW_ROTATE_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "lattice/row_internal.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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

template <std::size_t N>
HWY_INLINE float sum_of_squares(const float* x, std::size_t dim) {
  const Floats<N> d;
  constexpr std::size_t kSums = 16 / N;
  FloatVec<N> sums[kSums];
  for (auto& sum : sums) sum = hn::Zero(d);
  for (std::size_t i = 0; i < dim; i += 16) {
    for (std::size_t j = 0; j < kSums; ++j) {
      const auto v = hn::LoadU(d, x + i + j * N);
      sums[j] = hn::Add(sums[j], hn::Mul(v, v));
    }
  }
  for (std::size_t half = kSums / 2; half >= 1; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) sums[j] = hn::Add(sums[j], sums[j + half]);
  }
  return fold_sum<N>(sums[0]);
}

template <class V>
HWY_INLINE void butterfly(V& a, V& b) {
  const V sum = hn::Add(a, b);
  b = hn::Sub(a, b);
  a = sum;
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
  for (std::size_t half = 4; half >= 1 && half * N >= kGroup; half /= 2) {
    for (std::size_t base = 0; base < 8; base += 2 * half) {
      for (std::size_t i = base; i < base + half; ++i) butterfly(v[i], v[i + half]);
    }
  }
  if constexpr (N == 16) {
    const Floats<N / 2> half;
    for (std::size_t i = 0; i < 8; ++i) {
      auto low = hn::LowerHalf(half, v[i]);
      auto high = hn::UpperHalf(half, v[i]);
      butterfly(low, high);
      v[i] = hn::Combine(Floats<N>(), high, low);
    }
  }
  FloatVec<N> a[8];
  FloatVec<N> b[8];
  for (std::size_t j = 0; j < 4; ++j) split_butterfly<N>(v[2 * j], v[2 * j + 1], a[j], a[4 + j]);
  for (std::size_t j = 0; j < 4; ++j) {
    // a[0..3]: bit 0 of the coordinate is 0; a[4..7]: it is 1. b[c * 2 + half], c = 2 bits of the coordinate.
    const std::size_t bit0 = j / 2;
    split_butterfly<N>(a[4 * bit0 + 2 * (j % 2)], a[4 * bit0 + 2 * (j % 2) + 1], b[2 * bit0 + j % 2],
                       b[4 + 2 * bit0 + j % 2]);
  }
  for (std::size_t c = 0; c < 4; ++c) split_butterfly<N>(b[2 * c], b[2 * c + 1], v[c], v[4 + c]);
}

template <std::size_t N>
HWY_INLINE Rotated rotate_by(const float* x, std::size_t dim, float* y) {
  const Floats<N> d;
  constexpr std::size_t kChunk = 8 * N;
  Rotated out;
  const float sum = sum_of_squares<N>(x, dim);
  out.finite = std::isfinite(sum);
  if (!out.finite) return out;
  out.norm = std::max(std::sqrt(sum), kEpsilon);
  const auto norm = hn::Set(d, out.norm);
  const auto scale = hn::Set(d, rotation_scale(dim));
  HWY_ALIGN float u[kMaxDim];
  if (dim != kChunk) {
    for (std::size_t i = 0; i < dim; i += N) hn::Store(hn::Div(hn::LoadU(d, x + i), norm), d, u + i);
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
  auto peak = hn::Zero(d);
  const std::size_t groups = dim / kGroup;
  for (std::size_t first = 0; first < dim; first += kChunk) {
    FloatVec<N> v[8];
    for (std::size_t i = 0; i < 8; ++i) {
      v[i] = dim == kChunk ? hn::Div(hn::LoadU(d, x + i * N), norm) : hn::Load(d, u + first + i * N);
    }
    rotate_chunk<N>(v);
    for (std::size_t i = 0; i < 8; ++i) {
      v[i] = hn::Mul(v[i], scale);
      peak = hn::Max(peak, hn::Abs(v[i]));
      hn::StoreU(v[i], d, y + i * groups + first / kGroup);
    }
  }
  out.peak = std::max(out.peak, fold_max<N>(peak));
  return out;
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();

#endif  // KAKEYA_LATTICE_ROW_ROTATE_INL_H_
