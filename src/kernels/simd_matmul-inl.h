// Matrix products: register blocks of R rows by O outputs. Every output is summed in one vector of partial
// sums over the row in order, whatever the block, so blocks of different shapes give the same bits.
#if defined(KAKEYA_KERNELS_SIMD_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_KERNELS_SIMD_MATMUL_INL_H_
#undef KAKEYA_KERNELS_SIMD_MATMUL_INL_H_
#else
#define KAKEYA_KERNELS_SIMD_MATMUL_INL_H_
#endif

#include "kernels/simd_common-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels {
namespace HWY_NAMESPACE {

// With 32 registers a block of 8 x 3 sums fits, with 16 one of 4 x 3.
constexpr std::size_t kMaxBlockRows = (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON) ? 8 : 4;

template <std::size_t R, std::size_t O, class T>
HWY_INLINE void block(const T* w, std::size_t in, Rows<const float> x, Rows<float> y, std::size_t output) {
  VecF sums[R][O];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t o = 0; o < O; ++o) sums[r][o] = hn::Zero(F32());
  }
  std::size_t i = 0;
  for (; i + kLanes <= in; i += kLanes) {
    VecF weights[O];
    KAKEYA_UNROLL
    for (std::size_t o = 0; o < O; ++o) weights[o] = load(w + o * in + i);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const VecF row = load(x.data + r * x.stride + i);
      KAKEYA_UNROLL
      for (std::size_t o = 0; o < O; ++o) sums[r][o] = hn::MulAdd(row, weights[o], sums[r][o]);
    }
  }
  if (i < in) {
    KAKEYA_UNROLL
    for (std::size_t o = 0; o < O; ++o) {
      const VecF weights = load_part(w + o * in + i, in - i);
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        sums[r][o] = hn::MulAdd(load_part(x.data + r * x.stride + i, in - i), weights, sums[r][o]);
      }
    }
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t o = 0; o < O; ++o) y.data[r * y.stride + output + o] = sum(sums[r][o]);
  }
}

// All rows against the O outputs from `output` on.
template <std::size_t O, class T>
void strip(const T* w, std::size_t in, Rows<const float> x, Rows<float> y, std::size_t output) {
  std::size_t r = 0;
  if constexpr (kMaxBlockRows >= 8 && O <= 3) {
    for (; r + 8 <= x.rows; r += 8) block<8, O>(w, in, x.sub(r, 8), y.sub(r, 8), output);
  }
  for (; r + 4 <= x.rows; r += 4) block<4, O>(w, in, x.sub(r, 4), y.sub(r, 4), output);
  for (; r + 2 <= x.rows; r += 2) block<2, O>(w, in, x.sub(r, 2), y.sub(r, 2), output);
  for (; r < x.rows; ++r) block<1, O>(w, in, x.sub(r, 1), y.sub(r, 1), output);
}

template <class T>
void matmul_typed(const T* w, std::size_t in, Rows<const float> x, Rows<float> y, std::size_t first,
                  std::size_t last) {
  std::size_t o = first;
  if (x.rows == 1) {  // eight outputs at a time hide the latency of the sums
    for (; o + 8 <= last; o += 8) block<1, 8>(w + o * in, in, x, y, o);
  } else if (x.rows <= 3) {
    for (; o + 4 <= last; o += 4) strip<4>(w + o * in, in, x, y, o);
  } else {
    for (; o + 3 <= last; o += 3) strip<3>(w + o * in, in, x, y, o);
  }
  for (; o < last; ++o) strip<1>(w + o * in, in, x, y, o);
}

void matmul_range(const Weight& w, Rows<const float> x, Rows<float> y, std::size_t first, std::size_t last) {
  switch (w.type) {
    case WeightType::kF32:
      return matmul_typed(static_cast<const float*>(w.data), w.in, x, y, first, last);
    case WeightType::kF16:
      return matmul_typed(static_cast<const hwy::float16_t*>(w.data), w.in, x, y, first, last);
    case WeightType::kBf16:
      return matmul_typed(static_cast<const hwy::bfloat16_t*>(w.data), w.in, x, y, first, last);
  }
}

// R rows of y, C vectors from column `column` on; the sum over the tile's rows runs in order.
template <std::size_t R, std::size_t C>
HWY_INLINE void weighted_block(Rows<const float> weights, Rows<const float> tile, Rows<float> y,
                               std::size_t column) {
  VecF sums[R][C];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t c = 0; c < C; ++c) sums[r][c] = load(y.data + r * y.stride + column + c * kLanes);
  }
  for (std::size_t j = 0; j < weights.cols; ++j) {
    VecF values[C];
    KAKEYA_UNROLL
    for (std::size_t c = 0; c < C; ++c) values[c] = load(tile.data + j * tile.stride + column + c * kLanes);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const VecF weight = hn::Set(F32(), weights.data[r * weights.stride + j]);
      KAKEYA_UNROLL
      for (std::size_t c = 0; c < C; ++c) sums[r][c] = hn::MulAdd(weight, values[c], sums[r][c]);
    }
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    KAKEYA_UNROLL
    for (std::size_t c = 0; c < C; ++c) {
      hn::StoreU(sums[r][c], F32(), y.data + r * y.stride + column + c * kLanes);
    }
  }
}

template <std::size_t R>
void weighted_rows(Rows<const float> weights, Rows<const float> tile, Rows<float> y) {
  std::size_t column = 0;
  for (; column + 4 * kLanes <= y.cols; column += 4 * kLanes) weighted_block<R, 4>(weights, tile, y, column);
  for (; column + kLanes <= y.cols; column += kLanes) weighted_block<R, 1>(weights, tile, y, column);
  for (; column < y.cols; ++column) {
    for (std::size_t r = 0; r < R; ++r) {
      float total = y.data[r * y.stride + column];
      for (std::size_t j = 0; j < weights.cols; ++j) {
        total += weights.data[r * weights.stride + j] * tile.data[j * tile.stride + column];
      }
      y.data[r * y.stride + column] = total;
    }
  }
}

void weighted_sum(Rows<const float> weights, Rows<const float> tile, Rows<float> y) {
  constexpr std::size_t kRows = kMaxBlockRows / 2;
  std::size_t r = 0;
  for (; r + kRows <= weights.rows; r += kRows) {
    weighted_rows<kRows>(weights.sub(r, kRows), tile, y.sub(r, kRows));
  }
  for (; r < weights.rows; ++r) weighted_rows<1>(weights.sub(r, 1), tile, y.sub(r, 1));
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::kernels
HWY_AFTER_NAMESPACE();

#endif
