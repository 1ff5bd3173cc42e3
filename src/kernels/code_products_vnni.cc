// Products of codes with AVX-512 VNNI. The instruction wants one side without signs: codes plus 128, and 128
// times the sum of the other side is taken off again.
#include "kernels/code_products_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <cstring>

#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")
namespace kakeya::kernels {
namespace {

#include "kernels/code_products_avx512-inl.h"

// Rows of a group that are multiplied together: pairs of high and low, so twice as many sums a vector.
constexpr std::size_t kRowBlock = 4;  // divides PairRows::group_size()

KAKEYA_INLINE __m512i four(const std::int8_t* p) {
  std::int32_t bits = 0;
  std::memcpy(&bits, p, sizeof bits);
  return _mm512_set1_epi32(bits);
}
KAKEYA_INLINE __m512i load_unsigned(const std::int8_t* p) {
  return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(0x80)));
}
// -128 times the sum of n codes, n a multiple of 64.
KAKEYA_INLINE std::int32_t correction(const std::int8_t* codes, std::size_t n) {
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < n; i += 64) {
    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_loadu_si512(codes + i));
  }
  return -128 * _mm512_reduce_add_epi32(sum);
}

// Rows [first, first + R) of one group.
template <std::size_t R>
void score_rows(const PairRows& queries, std::size_t first, const std::int8_t* keys, std::size_t n,
                const float* scales, Rows<float> out) {
  const std::size_t dim = queries.cols;
  const std::int8_t* high = queries.high(first);
  const std::int8_t* low = queries.low(first);
  __m512i start[R];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    start[r] = _mm512_set1_epi32(correction(high + r * dim, dim) * 128 + correction(low + r * dim, dim));
  }
  for (std::size_t j = 0; j < n; j += 16, keys += 16 * dim) {
    __m512i highs[R], lows[R];
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      highs[r] = _mm512_setzero_si512();
      lows[r] = start[r];
    }
    for (std::size_t i = 0; i < dim; i += 4) {
      const __m512i codes = load_unsigned(keys + i * 16);
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        highs[r] = _mm512_dpbusd_epi32(highs[r], codes, four(high + r * dim + i));
        lows[r] = _mm512_dpbusd_epi32(lows[r], codes, four(low + r * dim + i));
      }
    }
    const __m512 scale = _mm512_loadu_ps(scales + j);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      _mm512_storeu_ps(out.row(first + r).data() + j,
                       scored(highs[r], lows[r], scale, queries.steps[first + r]));
    }
  }
}

// Rows [first, first + R) of one group, 32 values of a row at a time.
template <std::size_t R>
void sum_rows(const PairRows& weights, std::size_t first, const std::int8_t* values, Rows<float> y) {
  const std::size_t n = weights.cols, tiles = y.cols / 16;
  const std::int8_t* high = weights.high(first);
  const std::int8_t* low = weights.low(first);
  __m512i start[R];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    start[r] = _mm512_set1_epi32(correction(high + r * n, n) * 128 + correction(low + r * n, n));
  }
  for (std::size_t t = 0; t < tiles; t += 2) {
    __m512i highs[2][R], lows[2][R];
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      highs[0][r] = highs[1][r] = _mm512_setzero_si512();
      lows[0][r] = lows[1][r] = start[r];
    }
    for (std::size_t j = 0; j < n; j += 4) {
      const std::int8_t* at = values + ((j / 64 * tiles + t) * 16 + j % 64 / 4) * 64;
      const __m512i codes[2] = {load_unsigned(at), load_unsigned(at + 1024)};
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        const __m512i high_four = four(high + r * n + j), low_four = four(low + r * n + j);
        highs[0][r] = _mm512_dpbusd_epi32(highs[0][r], codes[0], high_four);
        highs[1][r] = _mm512_dpbusd_epi32(highs[1][r], codes[1], high_four);
        lows[0][r] = _mm512_dpbusd_epi32(lows[0][r], codes[0], low_four);
        lows[1][r] = _mm512_dpbusd_epi32(lows[1][r], codes[1], low_four);
      }
    }
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      float* out = y.row(first + r).data() + t * 16;
      _mm512_storeu_ps(out, stepped(highs[0][r], lows[0][r], weights.steps[first + r]));
      _mm512_storeu_ps(out + 16, stepped(highs[1][r], lows[1][r], weights.steps[first + r]));
    }
  }
}

// Calls f.operator()<R>(first) over all rows in blocks that lie in one group.
template <class F>
KAKEYA_INLINE void for_row_blocks(std::size_t rows, F f) {
  for (std::size_t first = 0; first < rows; first += kRowBlock) {
    switch (std::min(kRowBlock, rows - first)) {
      case 1:
        f.template operator()<1>(first);
        break;
      case 2:
        f.template operator()<2>(first);
        break;
      case 3:
        f.template operator()<3>(first);
        break;
      default:
        f.template operator()<kRowBlock>(first);
    }
  }
}

}  // namespace

void round_pair_avx512(const float* x, const float* factors, const PairRows& out, std::size_t row) {
  std::int8_t* high = out.high(row);
  std::int8_t* low = out.low(row);
  const auto value = [&](std::size_t i) __attribute__((always_inline)) {
    const __m512 v = _mm512_loadu_ps(x + i);
    return factors != nullptr ? _mm512_mul_ps(v, _mm512_loadu_ps(factors + i)) : v;
  };
  // Of the bits without sign: NaN is above infinity, infinity above all numbers.
  __m512i most = _mm512_setzero_si512();
  for (std::size_t i = 0; i < out.cols; i += 16) {
    most = _mm512_max_epi32(most, _mm512_castps_si512(_mm512_abs_ps(value(i))));
  }
  const std::int32_t bits = _mm512_reduce_max_epi32(most);
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
  const __m512 inverse = _mm512_set1_ps(kTop / largest);
  // Packing works within 128-bit lanes: this puts its 4-byte pieces back in order.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i half = _mm512_set1_epi16(64), rest = _mm512_set1_epi16(127);
  const auto code = [&](std::size_t i) __attribute__((always_inline)) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(value(i), inverse));
  };
  for (std::size_t i = 0; i < out.cols; i += 64) {
    // 16-bit numbers code + 64 = 128 high + (low + 64).
    const __m512i a = _mm512_add_epi16(_mm512_packs_epi32(code(i), code(i + 16)), half);
    const __m512i b = _mm512_add_epi16(_mm512_packs_epi32(code(i + 32), code(i + 48)), half);
    const __m512i top = _mm512_packs_epi16(_mm512_srai_epi16(a, 7), _mm512_srai_epi16(b, 7));
    const __m512i bottom = _mm512_sub_epi8(
        _mm512_packus_epi16(_mm512_and_si512(a, rest), _mm512_and_si512(b, rest)), _mm512_set1_epi8(64));
    _mm512_storeu_si512(high + i, _mm512_permutexvar_epi32(order, top));
    _mm512_storeu_si512(low + i, _mm512_permutexvar_epi32(order, bottom));
  }
}

void code_scores_vnni(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                      Rows<float> scores) {
  for_row_blocks(queries.rows, [&]<std::size_t R>(std::size_t first) {
    score_rows<R>(queries, first, keys, n, scales, scores);
  });
}

void code_sums_vnni(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  for_row_blocks(weights.rows,
                 [&]<std::size_t R>(std::size_t first) { sum_rows<R>(weights, first, values, y); });
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
