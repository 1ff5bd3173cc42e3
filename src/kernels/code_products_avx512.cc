// Products of bf16 codes with AVX-512: codes widened to floats, two rows or dims of a dword one after the
// other, times floats. vdpbf16ps would need the floats in two parts: as many instructions, and no faster
// ones. Also the layouts of bf16 codes and the exponential of every AVX-512 variant.
#include "kernels/code_products_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,fma")
namespace kakeya::kernels {
namespace {

#include "kernels/code_products_avx512-inl.h"

constexpr std::size_t kPageRows = 64, kKeyRows = 16, kValueRows = 32;
// Rows multiplied together: two sums each, of the low and the high half of the dwords.
constexpr std::size_t kRowBlock = 8;

KAKEYA_INLINE __m512 low_half(__m512i pair) { return _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)); }
KAKEYA_INLINE __m512 high_half(__m512i pair) {
  return _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

// The same 16 bytes of four rows: row r's in 128-bit lane r.
KAKEYA_INLINE __m512i four(const std::byte* const (&rows)[4], std::size_t offset) {
  const auto load = [&](std::size_t r) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[r] + offset));
  };
  __m512i bytes = _mm512_castsi128_si512(load(0));
  bytes = _mm512_inserti32x4(bytes, load(1), 1);
  bytes = _mm512_inserti32x4(bytes, load(2), 2);
  return _mm512_inserti32x4(bytes, load(3), 3);
}

// sums[r] = sum over i < cols of x[r * cols + i] * code i, of 16 keys or dims at once; each vector of codes
// holds two i, and blocks of 16 vectors lie `stride` bytes apart.
template <std::size_t R>
KAKEYA_INLINE void add_products(const float* x, std::size_t cols, const std::int8_t* codes,
                                std::size_t stride, __m512 (&sums)[R]) {
  __m512 even[R], odd[R];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) even[r] = odd[r] = _mm512_setzero_ps();
  for (std::size_t i = 0; i < cols; i += 32, codes += stride, x += 32) {
    for (std::size_t p = 0; p < 16; ++p) {
      const __m512i pair = _mm512_loadu_si512(codes + 64 * p);
      const __m512 first = low_half(pair), second = high_half(pair);
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        even[r] = _mm512_fmadd_ps(first, _mm512_set1_ps(x[r * cols + 2 * p]), even[r]);
        odd[r] = _mm512_fmadd_ps(second, _mm512_set1_ps(x[r * cols + 2 * p + 1]), odd[r]);
      }
    }
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) sums[r] = _mm512_add_ps(even[r], odd[r]);
}

const float* floats(const PairRows& rows, std::size_t row) {
  return reinterpret_cast<const float*>(rows.whole(row));
}

struct Scores {
  const PairRows& queries;
  const std::int8_t* keys;
  std::size_t n;
  const float* scales;
  Rows<float> out;

  template <std::size_t R>
  void multiply(std::size_t row) const {
    const std::size_t dim = queries.cols;
    for (std::size_t j = 0; j < n; j += kKeyRows) {
      __m512 sums[R];
      add_products<R>(floats(queries, row), dim, keys + j * dim * 2, 1024, sums);
      const __m512 scale = _mm512_loadu_ps(scales + j);
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        const __m512 step = _mm512_set1_ps(queries.steps[row + r]);
        _mm512_storeu_ps(out.data + (row + r) * out.stride + j,
                         _mm512_mul_ps(_mm512_mul_ps(sums[r], scale), step));
      }
    }
  }
};

struct Sums {
  const PairRows& weights;
  const std::int8_t* values;
  Rows<float> y;

  template <std::size_t R>
  void multiply(std::size_t row) const {
    for (std::size_t d = 0; d < y.cols; d += 16) {
      __m512 sums[R];
      add_products<R>(floats(weights, row), weights.cols, values + d * 64, y.cols * 64, sums);
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        const __m512 step = _mm512_set1_ps(weights.steps[row + r]);
        _mm512_storeu_ps(y.data + (row + r) * y.stride + d, _mm512_mul_ps(sums[r], step));
      }
    }
  }
};

// All rows in blocks of kRowBlock, then of 4, 2 and 1.
template <class F>
KAKEYA_INLINE void for_row_blocks(std::size_t rows, const F& f) {
  std::size_t row = 0;
  for (; row + kRowBlock <= rows; row += kRowBlock) f.template multiply<kRowBlock>(row);
  for (; row + 4 <= rows; row += 4) f.template multiply<4>(row);
  for (; row + 2 <= rows; row += 2) f.template multiply<2>(row);
  if (row < rows) f.template multiply<1>(row);
}

}  // namespace

float exp_sum_avx512(float* x, float shift, std::size_t n) {
  const __m512 shifts = _mm512_set1_ps(shift), rate = _mm512_set1_ps(kLog2E);
  const __m512 least = _mm512_set1_ps(kLeastExponent), one = _mm512_set1_ps(1.0f);
  __m512 total = _mm512_setzero_ps();
  for (std::size_t i = 0; i < n; i += 16) {
    const auto lanes = static_cast<__mmask16>(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
    const __m512 from = _mm512_maskz_loadu_ps(lanes, x + i);
    const __m512 power = _mm512_max_ps(_mm512_mul_ps(_mm512_sub_ps(from, shifts), rate), least);
    const __m512 whole = _mm512_roundscale_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_sub_ps(power, whole);
    __m512 p = _mm512_set1_ps(kExp2Terms[0]);
    KAKEYA_UNROLL
    for (int t = 1; t < 6; ++t) p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kExp2Terms[t]));
    p = _mm512_scalef_ps(_mm512_fmadd_ps(p, f, one), whole);
    _mm512_mask_storeu_ps(x + i, lanes, p);
    total = _mm512_mask_add_ps(total, lanes, total, p);
  }
  return _mm512_reduce_add_ps(total);
}

// As lattice/row_codes_vbmi.cc: vectors of four rows, dword t of every lane of four of them side by side.
void bf16_keys_avx512(const Bf16Rows& x, std::int8_t* out) {
  const std::size_t bytes = 2 * x.dim;
  base::LineAsker asker(x.wanted);
  for (std::size_t first = 0; first < x.count; first += kKeyRows) {
    const std::byte* rows[4]
                         [4];  // lane l of vector v is row 4 l + v; rows beyond the last stand for that one
    for (std::size_t i = 0; i < kKeyRows; ++i)
      rows[i % 4][i / 4] = x.rows + std::min(first + i, x.count - 1) * bytes;
    for (std::size_t at = 0; at < bytes; at += 16, out += 256) {
      asker.ask(256);
      const __m512i v0 = four(rows[0], at), v1 = four(rows[1], at), v2 = four(rows[2], at),
                    v3 = four(rows[3], at);
      const __m512i a = _mm512_unpacklo_epi32(v0, v1), b = _mm512_unpackhi_epi32(v0, v1);
      const __m512i c = _mm512_unpacklo_epi32(v2, v3), d = _mm512_unpackhi_epi32(v2, v3);
      _mm512_store_si512(out, _mm512_unpacklo_epi64(a, c));
      _mm512_store_si512(out + 64, _mm512_unpackhi_epi64(a, c));
      _mm512_store_si512(out + 128, _mm512_unpacklo_epi64(b, d));
      _mm512_store_si512(out + 192, _mm512_unpackhi_epi64(b, d));
    }
  }
}

void bf16_values_avx512(const Bf16Rows& x, std::int8_t* out) {
  alignas(64) std::uint16_t order[2][32];  // words of two rows in turn, of the first and the last 16 dims
  for (std::size_t i = 0; i < 64; ++i) order[i / 32][i % 32] = static_cast<std::uint16_t>(i % 2 * 32 + i / 2);
  const __m512i front = _mm512_load_si512(order[0]), back = _mm512_load_si512(order[1]);
  const std::size_t bytes = 2 * x.dim;
  base::LineAsker asker(x.wanted);
  for (std::size_t first = 0; first < kPageRows; first += 2) {
    const __mmask32 has_a = first < x.count ? ~0u : 0u, has_b = first + 1 < x.count ? ~0u : 0u;
    const std::byte* a = x.rows + (has_a != 0 ? first * bytes : 0);
    const std::byte* b = x.rows + (has_b != 0 ? (first + 1) * bytes : 0);
    asker.ask(2 * bytes);
    std::int8_t* block = out + first / kValueRows * kValueRows * bytes + first % kValueRows * 32;
    for (std::size_t at = 0; at < bytes; at += 64, block += 2048) {
      const __m512i row_a = _mm512_maskz_loadu_epi16(has_a, a + at);
      const __m512i row_b = _mm512_maskz_loadu_epi16(has_b, b + at);
      _mm512_store_si512(block, _mm512_permutex2var_epi16(row_a, front, row_b));
      _mm512_store_si512(block + 1024, _mm512_permutex2var_epi16(row_a, back, row_b));
    }
  }
}

void keep_floats_avx512(const float* x, const float* factors, const PairRows& out, std::size_t row) {
  auto* to = reinterpret_cast<float*>(out.whole(row));
  __m512 nothing = _mm512_setzero_ps();  // NaN as soon as a value is no number
  for (std::size_t i = 0; i < out.cols; i += 16) {
    __m512 value = _mm512_loadu_ps(x + i);
    if (factors != nullptr) value = _mm512_mul_ps(value, _mm512_loadu_ps(factors + i));
    nothing = _mm512_fmadd_ps(value, _mm512_setzero_ps(), nothing);
    _mm512_storeu_ps(to + i, value);
  }
  out.steps[row] = 1.0f + _mm512_reduce_add_ps(nothing);
}

void bf16_scores_avx512(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                        Rows<float> scores) {
  for_row_blocks(queries.rows, Scores{queries, keys, n, scales, scores});
}

void bf16_sums_avx512(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  for_row_blocks(weights.rows, Sums{weights, values, y});
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
