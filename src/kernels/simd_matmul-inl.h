// Matrix products. Every output is summed in one vector of partial sums over the row in order, whatever the
// shape of the block it is computed in, so that neither neighbours nor threads change a bit.
#if defined(KAKEYA_KERNELS_SIMD_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_KERNELS_SIMD_MATMUL_INL_H_
#undef KAKEYA_KERNELS_SIMD_MATMUL_INL_H_
#else
#define KAKEYA_KERNELS_SIMD_MATMUL_INL_H_
#endif

#include <type_traits>

#include <hwy/cache_control.h>

#include "base/check.h"
#include "kernels/simd_common-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels {
namespace HWY_NAMESPACE {

// With 32 registers a block of 8 x 3 sums fits, with 16 one of 4 x 3.
constexpr std::size_t kBlockRows = (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON) ? 8 : 4;
constexpr std::size_t kBlockOutputs = 3;
// Rows are taken in groups whose slice of kDepth values lies packed and aligned in the first-level cache, and
// outputs in panels whose weights stay in the second-level cache from one group to the next.
constexpr std::size_t kGroupRows = 16;
constexpr std::size_t kDepth = 1024;
constexpr std::size_t kPanel = 96;

// The sum of the 128-bit blocks of a vector, halves first.
template <class D>
HWY_INLINE hn::Vec<hn::FixedTag<float, 4>> add_blocks(D, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return v;
  } else {
    const hn::Half<D> half;
    return add_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

// The sums of the lanes of four vectors. The tree is the same for each of them: lanes l and l + 2 of a
// 128-bit block, then both pairs, then blocks.
HWY_INLINE hn::Vec<hn::FixedTag<float, 4>> sum_lanes(VecF a, VecF b, VecF c, VecF d) {
  const hn::RepartitionToWide<F32> wide;
  const auto ab =
      hn::BitCast(wide, hn::Add(hn::InterleaveLower(F32(), a, b), hn::InterleaveUpper(F32(), a, b)));
  const auto cd =
      hn::BitCast(wide, hn::Add(hn::InterleaveLower(F32(), c, d), hn::InterleaveUpper(F32(), c, d)));
  const VecF blocks = hn::Add(hn::BitCast(F32(), hn::InterleaveLower(wide, ab, cd)),
                              hn::BitCast(F32(), hn::InterleaveUpper(wide, ab, cd)));
  return add_blocks(F32(), blocks);
}

HWY_INLINE void store_sums(VecF a, VecF b, VecF c, VecF d, float* out) {
  hn::StoreU(sum_lanes(a, b, c, d), hn::FixedTag<float, 4>(), out);
}

HWY_INLINE float sum_one(VecF v) {
  const VecF zero = hn::Zero(F32());
  return hn::GetLane(sum_lanes(v, zero, zero, zero));
}

// One or a few rows, O outputs from `output` on, straight from memory.
template <std::size_t R, std::size_t O, class T>
HWY_INLINE void direct_block(const T* w, std::size_t in, Rows<const float> x, Rows<float> y,
                             std::size_t output) {
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
    for (std::size_t o = 0; o + 4 <= O; o += 4) {
      store_sums(sums[r][o], sums[r][o + 1], sums[r][o + 2], sums[r][o + 3],
                 y.data + r * y.stride + output + o);
    }
    KAKEYA_UNROLL
    for (std::size_t o = O / 4 * 4; o < O; ++o) y.data[r * y.stride + output + o] = sum_one(sums[r][o]);
  }
}

template <std::size_t O, class T>
HWY_INLINE void direct_rows(const T* w, std::size_t in, Rows<const float> x, Rows<float> y,
                            std::size_t output) {
  std::size_t r = 0;
  for (; r + 2 <= x.rows; r += 2) direct_block<2, O>(w, in, x.sub(r, 2), y.sub(r, 2), output);
  if (r < x.rows) direct_block<1, O>(w, in, x.sub(r, 1), y.sub(r, 1), output);
}

// x[:, first, first + n) as [ceil(n / kLanes)][rows][kLanes], the last vector padded with zeros.
HWY_INLINE void pack_rows(Rows<const float> x, std::size_t first, std::size_t n, float* packed) {
  for (std::size_t r = 0; r < x.rows; ++r) {
    const float* row = x.data + r * x.stride + first;
    float* out = packed + r * kLanes;
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes, out += x.rows * kLanes) hn::Store(load(row + i), F32(), out);
    if (i < n) hn::Store(load_part(row + i, n - i), F32(), out);
  }
}

// A slice [first, first + n) of the row, n <= kDepth, for R rows and O outputs. `partial` [O][R][kLanes]
// carries the partial sums from slice to slice.
template <std::size_t R, std::size_t O, class T>
HWY_INLINE void slice_block(const T* w, std::size_t in, std::size_t first, std::size_t n, const float* packed,
                            float* partial) {
  VecF sums[R][O];
  KAKEYA_UNROLL
  for (std::size_t o = 0; o < O; ++o) {
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      sums[r][o] = first == 0 ? hn::Zero(F32()) : hn::Load(F32(), partial + (o * R + r) * kLanes);
    }
  }
  const T* slice = w + first;
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes, packed += R * kLanes) {
    VecF weights[O];
    KAKEYA_UNROLL
    for (std::size_t o = 0; o < O; ++o) {
      weights[o] = load(slice + o * in + i);
      hwy::Prefetch(slice + (O + o) * in + i);  // the next outputs' slice: too short a run for the hardware
    }
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const VecF row = hn::Load(F32(), packed + r * kLanes);
      KAKEYA_UNROLL
      for (std::size_t o = 0; o < O; ++o) sums[r][o] = hn::MulAdd(row, weights[o], sums[r][o]);
    }
  }
  if (i < n) {
    KAKEYA_UNROLL
    for (std::size_t o = 0; o < O; ++o) {
      const VecF weights = load_part(slice + o * in + i, n - i);
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        sums[r][o] = hn::MulAdd(hn::Load(F32(), packed + r * kLanes), weights, sums[r][o]);
      }
    }
  }
  KAKEYA_UNROLL
  for (std::size_t o = 0; o < O; ++o) {
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) hn::Store(sums[r][o], F32(), partial + (o * R + r) * kLanes);
  }
}

// Where the outputs of one panel are summed: panel outputs [first, last) of y.
struct Panel {
  std::size_t first;
  std::size_t last;
  HWY_ALIGN float packed[kGroupRows * kDepth];
  HWY_ALIGN float partial[kGroupRows * kPanel * kLanes];
};

// R rows of a group, which start at row `r0` of it, through one slice of all outputs of the panel.
template <std::size_t R, class T>
void slice_rows(const T* w, std::size_t in, std::size_t first, std::size_t n, std::size_t r0, Panel& panel) {
  const std::size_t steps = (n + kLanes - 1) / kLanes;
  const float* packed = panel.packed + r0 * steps * kLanes;
  float* partial = panel.partial + r0 * kPanel * kLanes;
  std::size_t o = panel.first;
  for (; o + kBlockOutputs <= panel.last; o += kBlockOutputs, partial += kBlockOutputs * R * kLanes) {
    slice_block<R, kBlockOutputs>(w + o * in, in, first, n, packed, partial);
  }
  for (; o < panel.last; ++o, partial += R * kLanes)
    slice_block<R, 1>(w + o * in, in, first, n, packed, partial);
}

// Calls fn(r0, integral R) for the row blocks of a group: as many full ones as fit, then halves.
template <class F>
HWY_INLINE void for_row_blocks(std::size_t rows, F fn) {
  std::size_t r = 0;
  if constexpr (kBlockRows >= 8) {
    for (; r + 8 <= rows; r += 8) fn(r, std::integral_constant<std::size_t, 8>());
  }
  for (; r + 4 <= rows; r += 4) fn(r, std::integral_constant<std::size_t, 4>());
  for (; r + 2 <= rows; r += 2) fn(r, std::integral_constant<std::size_t, 2>());
  if (r < rows) fn(r, std::integral_constant<std::size_t, 1>());
}

template <class T>
void group_panel(const T* w, std::size_t in, Rows<const float> x, Rows<float> y, Panel& panel) {
  for (std::size_t first = 0; first < in; first += kDepth) {
    const std::size_t n = HWY_MIN(kDepth, in - first);
    const std::size_t steps = (n + kLanes - 1) / kLanes;
    for_row_blocks(x.rows, [&](std::size_t r, auto block) HWY_ATTR {
      pack_rows(x.sub(r, block), first, n, panel.packed + r * steps * kLanes);
      slice_rows<block>(w, in, first, n, r, panel);
    });
  }
  for_row_blocks(x.rows, [&](std::size_t r0, auto block) HWY_ATTR {
    for (std::size_t r = 0; r < block; ++r) {
      const float* partial = panel.partial + (r0 * kPanel + r) * kLanes;
      constexpr std::size_t kNext = block * kLanes;  // from one output to the next
      float* out = y.data + (r0 + r) * y.stride;
      std::size_t o = panel.first;
      for (; o + 4 <= panel.last; o += 4, partial += 4 * kNext) {
        store_sums(hn::Load(F32(), partial), hn::Load(F32(), partial + kNext),
                   hn::Load(F32(), partial + 2 * kNext), hn::Load(F32(), partial + 3 * kNext), out + o);
      }
      for (; o < panel.last; ++o, partial += kNext) out[o] = sum_one(hn::Load(F32(), partial));
    }
  });
}

template <class T>
void matmul_typed(const T* w, std::size_t in, Rows<const float> x, Rows<float> y, std::size_t first,
                  std::size_t last) {
  if (x.rows < 4 || in == 0) {
    std::size_t o = first;
    if (x.rows == 1) {  // eight outputs at a time hide the latency of the sums
      for (; o + 8 <= last; o += 8) direct_block<1, 8>(w + o * in, in, x, y, o);
    }
    for (; o + 4 <= last; o += 4) direct_rows<4>(w + o * in, in, x, y, o);
    for (; o < last; ++o) direct_rows<1>(w + o * in, in, x, y, o);
    return;
  }
  Panel panel;
  for (panel.first = first; panel.first < last; panel.first = panel.last) {
    panel.last = HWY_MIN(last, panel.first + kPanel);
    for (std::size_t r = 0; r < x.rows; r += kGroupRows) {
      const std::size_t rows = HWY_MIN(kGroupRows, x.rows - r);
      group_panel(w, in, x.sub(r, rows), y.sub(r, rows), panel);
    }
  }
}

void matmul_range(const Weight& w, Rows<const float> x, Rows<float> y, std::size_t first, std::size_t last) {
  switch (w.type) {
    case WeightType::kF32:
      return matmul_typed(static_cast<const float*>(w.data), w.in, x, y, first, last);
    case WeightType::kF16:
      return matmul_typed(static_cast<const hwy::float16_t*>(w.data), w.in, x, y, first, last);
    case WeightType::kBf16:
      return matmul_typed(static_cast<const hwy::bfloat16_t*>(w.data), w.in, x, y, first, last);
    default:
      KAKEYA_CHECK(!is_quantised(w.type));
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
  constexpr std::size_t kRows = kBlockRows / 2;
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
