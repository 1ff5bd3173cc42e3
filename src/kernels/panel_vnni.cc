// Products of panels with AVX-512 VNNI: up to eight rows at a time, codes unpacked in registers once for all
// of them, and several panels at a time when there are no more.
#include "kernels/panel_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/panel_layout.h"
#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c,fma")
namespace kakeya::kernels {
namespace {

#include "kernels/panel_tiles-inl.h"
// After the tiles.
#include "kernels/panel_avx512-inl.h"

constexpr std::size_t kRowBlock = 8;
constexpr std::size_t kTogether = 4;
// How far ahead of use the lines of each of these panels are asked for: a core's own prefetcher brings them
// to the second-level cache, and this the rest of the way. All lines, and evenly: some of them, or many at
// once, are worse than none.
constexpr std::size_t kAheadTogether = 896;

using Four = int __attribute__((may_alias));
// sums += four codes of each output . four activations, read where they are: GCC 12's intrinsic would put
// them into a register of their own first.
KAKEYA_INLINE void add_group(__m512i& sums, __m512i codes, const std::int8_t* x) {
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sums) : "v"(codes), "m"(*reinterpret_cast<const Four*>(x)));
}

// codes . activations of a block, k-groups [from, to), on top of `start`.
KAKEYA_INLINE __m512i dot(const __m512i (&codes)[kBlockGroups], const std::int8_t* x, std::size_t from,
                          std::size_t to, __m512i start) {
  KAKEYA_UNROLL
  for (std::size_t g = from; g < to; ++g) add_group(start, codes[g], x + 4 * g);
  return start;
}

// Minus the zero point times a sum of activation codes: where integer sums start.
template <WeightType kType>
KAKEYA_INLINE __m512i start_sum(const std::int32_t& negative_sum) {
  constexpr int kZero = panel_layout(kType).zero;
  if constexpr (kZero == 0) return _mm512_setzero_si512();
  constexpr unsigned kShift = kZero == 8 ? 3 : kZero == 32 ? 5 : 7;
  static_assert(kZero == 0 || kZero == 1 << kShift);
  __m512i start;
  asm("vpslld %2, %1%{1to16%}, %0" : "=v"(start) : "m"(negative_sum), "i"(kShift));
  return start;
}

// A block of 4-bit codes and one row: the high codes are not shifted down, their sum is.
template <WeightType kType>
KAKEYA_INLINE __m512i dot_of_pairs(const std::uint8_t* block, const std::int8_t* x, __m512i start) {
  const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(static_cast<char>(0xf0));
  __m512i sixteenfold = _mm512_setzero_si512();
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; g += 2) {
    const __m512i pair = load_vector(block + g / 2 * kPanelVector);
    add_group(start, _mm512_and_si512(pair, low), x + 4 * g);
    add_group(sixteenfold, _mm512_and_si512(pair, high), x + 4 * (g + 1));
  }
  return _mm512_add_epi32(start, _mm512_srai_epi32(sixteenfold, 4));
}

// A block's integer sums to float, scaled and added.
template <WeightType kType>
KAKEYA_INLINE __m512 add_sums(__m512i sums, const Scales& scales, const Activations& x, std::size_t r,
                              __m512 acc) {
  const __m512 scale = _mm512_mul_ps(scales.scale, _mm512_set1_ps(x.scales[r]));
  acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), scale, acc);
  if constexpr (!has_min(kType)) return acc;
  return _mm512_fmadd_ps(scales.min, _mm512_set1_ps(x.scaled_sums[r]), acc);
}

template <WeightType kType>
KAKEYA_INLINE __m512 add_block(const __m512i (&codes)[kBlockGroups], const Scales& scales,
                               const Activations& x, std::size_t r, __m512 acc) {
  const std::int8_t* row = x.codes + r * kActivationBlock;
  if constexpr (kType == WeightType::kQ6K) {
    const __m512 row_scale = _mm512_set1_ps(x.scales[r]);
    const std::int32_t all = x.negative_sums[2 * r], half = x.negative_sums[2 * r + 1];
    const __m512i first = dot(codes, row, 0, 4, start_sum<kType>(half));
    const __m512i second = dot(codes, row, 4, 8, start_sum<kType>(all - half));
    acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(first), _mm512_mul_ps(scales.scale, row_scale), acc);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), _mm512_mul_ps(scales.second, row_scale), acc);
  } else {
    const __m512i sums = dot(codes, row, 0, 8, start_sum<kType>(x.negative_sums[2 * r]));
    return add_sums<kType>(sums, scales, x, r, acc);
  }
}

template <WeightType kType, std::size_t R>
KAKEYA_INLINE void add_tile_block(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                                  const Activations& x, __m512 (&acc)[R]) {
  const Scales scales = load_scales(tiles, tile, j);
  if constexpr (R == 1 && panel_layout(kType).block_bytes() == kBlockGroups / 2 * kPanelVector) {
    const __m512i start = start_sum<kType>(x.negative_sums[0]);
    acc[0] = add_sums<kType>(dot_of_pairs<kType>(tiles.block(tile, j), x.codes, start), scales, x, 0, acc[0]);
  } else {
    __m512i codes[kBlockGroups];
    load_codes<kType>(tiles.block(tile, j), codes);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) acc[r] = add_block<kType>(codes, scales, x, r, acc[r]);
  }
}

// Block j of P panels.
template <WeightType kType, std::size_t R, std::size_t P>
KAKEYA_INLINE void add_blocks(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                              Activations& x, __m512 (&acc)[P][R]) {
  KAKEYA_UNROLL
  for (std::size_t p = 0; p < P; ++p) {
    const std::uint8_t* own = tile + p * tiles.panel_bytes;
    if constexpr (P > 1) {
      prefetch_lines<Into::kFirstLevel>(tiles.block(own, j), Tiles<kType>::kLayout.block_bytes(),
                                        kAheadTogether);
    }
    add_tile_block(tiles, own, j, x, acc[p]);
  }
  x.next();
}

template <WeightType kType, std::size_t R, std::size_t P = 1>
void add_rows(const Tiles<kType>& tiles, const Int8Rows& x, const Step& step, Rows<float> y,
              std::size_t last) {
  const std::size_t output = step.panel * kPanelOutputs;
  float* out = y.data + output;
  __m512 acc[P][R];
  KAKEYA_UNROLL
  for (std::size_t p = 0; p < P; ++p) {
    const __mmask16 mask = output_mask(output + p * kPanelOutputs, last);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const float* sums = out + r * y.stride + p * kPanelOutputs;
      acc[p][r] = step.first == 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, sums);
    }
  }
  Activations block(x, step.first, step.row);
  const std::uint8_t* tile = tiles.tile(step.panel, step.first);
  std::size_t blocks = step.last - step.first;
  for (; blocks >= tiles.tile_blocks(); blocks -= tiles.tile_blocks(), tile += tiles.tile_bytes()) {
    if constexpr (P > 1) {
      for (std::size_t p = 0; p < P; ++p) {
        prefetch_lines<Into::kFirstLevel>(tile + p * tiles.panel_bytes, tiles.header_bytes(), kAheadTogether);
      }
    } else if (step.ahead != 0) {
      prefetch_lines(tile, tiles.tile_bytes(), step.ahead);
    }
    if constexpr (Tiles<kType>::kLayout.tile_blocks == 2 && !Tiles<kType>::kAffine) {
      add_blocks<kType>(tiles, tile, 0, block, acc);
      add_blocks<kType>(tiles, tile, 1, block, acc);
    } else if constexpr (Tiles<kType>::kLayout.tile_blocks == 8) {
      // Scales of the first four lie elsewhere than those of the last four.
      for (std::size_t j = 0; j < 4; ++j) add_blocks<kType>(tiles, tile, j, block, acc);
      for (std::size_t j = 4; j < 8; ++j) add_blocks<kType>(tiles, tile, j, block, acc);
    } else {
      for (std::size_t j = 0; j < tiles.tile_blocks(); ++j) add_blocks<kType>(tiles, tile, j, block, acc);
    }
  }
  for (std::size_t j = 0; j < blocks; ++j) add_blocks<kType>(tiles, tile, j, block, acc);
  KAKEYA_UNROLL
  for (std::size_t p = 0; p < P; ++p) {
    const __mmask16 mask = output_mask(output + p * kPanelOutputs, last);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r)
      _mm512_mask_storeu_ps(out + r * y.stride + p * kPanelOutputs, mask, acc[p][r]);
  }
}

#include "kernels/panel_rows-inl.h"

}  // namespace

void panel_matmul_vnni(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last) {
  matmul(w, x, y, first, last);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
