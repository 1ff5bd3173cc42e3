// Products of bf16 codes with AMX tiles: a tile of high and one of low parts of a group's rows add to the
// same sums.
#include "kernels/code_products_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <utility>

#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,amx-tile,amx-bf16")
namespace kakeya::kernels {
namespace {

#include "kernels/amx_tiles-inl.h"
#include "kernels/code_tiles-inl.h"

struct Bf16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr int kLow = kRows + 1, kCodes = 6;  // and 7
  static std::size_t tile_rows(std::size_t rows) { return rows; }
  static KAKEYA_INLINE void load_rows(const Factors& x, std::size_t step) {
    const std::int8_t* rows = x.rows + 64 * step;
    tile_load<kRows>(rows, x.row_bytes);
    tile_load<kLow>(rows + x.group_rows * x.row_bytes, x.row_bytes);
  }
  template <int kSum>
  static KAKEYA_INLINE void add(const std::int8_t* codes) {
    constexpr int kTile = kCodes + kSum % (kTiles - kCodes);
    tile_load<kTile>(codes, 64);
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kRows), "i"(kTile));
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kLow), "i"(kTile));
  }
  static void stir() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums - 1), "i"(kRows), "i"(kCodes));
  }
  static KAKEYA_INLINE __m512 sum(const TileSums& sums, std::size_t row, std::size_t) {
    return _mm512_castsi512_ps(sums[row]);
  }
};

}  // namespace

// High: the upper half of the float as it is, so that what is left is exact; low: that, rounded to nearest.
void split_bf16_amx(const float* x, const float* factors, const PairRows& out, std::size_t row) {
  alignas(64) std::uint16_t odd[32];  // the upper halves of two vectors of floats
  for (std::size_t i = 0; i < 32; ++i) odd[i] = static_cast<std::uint16_t>(2 * i + 1);
  const __m512i order = _mm512_load_si512(odd);
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  std::int8_t* high = out.high(row);
  std::int8_t* low = out.low(row);
  __m512 nothing = _mm512_setzero_ps();  // NaN as soon as a value is no number
  const auto value = [&](std::size_t i) __attribute__((always_inline)) {
    const __m512 v = _mm512_loadu_ps(x + i);
    return factors != nullptr ? _mm512_mul_ps(v, _mm512_loadu_ps(factors + i)) : v;
  };
  const auto rest = [&](__m512 v) __attribute__((always_inline)) {
    return _mm512_sub_ps(v, _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(v), upper)));
  };
  for (std::size_t i = 0; i < out.cols; i += 32) {
    const __m512 a = value(i), b = value(i + 16);
    nothing = _mm512_fmadd_ps(a, _mm512_setzero_ps(), nothing);
    nothing = _mm512_fmadd_ps(b, _mm512_setzero_ps(), nothing);
    _mm512_storeu_si512(high + 2 * i,
                        _mm512_permutex2var_epi16(_mm512_castps_si512(a), order, _mm512_castps_si512(b)));
    _mm512_storeu_si512(low + 2 * i, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(rest(b), rest(a))));
  }
  out.steps[row] = 1.0f + _mm512_reduce_add_ps(nothing);
}

void bf16_scores_amx(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                     Rows<float> scores) {
  for_groups(queries, Scores<Bf16>{queries, keys, n, scales, scores});
}

void bf16_sums_amx(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  for_groups(weights, Sums<Bf16>{weights, values, y});
}

const SleepyUnit kBf16Tiles = {hold_tiles<Bf16>, Bf16::stir, release_tiles<Bf16>};

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
