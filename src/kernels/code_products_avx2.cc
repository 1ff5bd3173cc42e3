// Products of codes with AVX2: 128 * high + low fits 16 bits, so one product of 16-bit numbers does the work
// of two of bytes. AVX-VNNI adds the products up in the same instruction.
#include "kernels/code_products_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <cstring>

#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx2,fma")
namespace kakeya::kernels {
namespace {

namespace plain {
constexpr std::size_t kRowBlock = 4;
KAKEYA_INLINE __m256i dot(__m256i sums, __m256i a, __m256i b) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}
#include "kernels/code_products_avx2-inl.h"
}  // namespace plain

// exp(x - shift) for the 16 values at x, in place.
KAKEYA_INLINE void exponentials(float* x, __m256 shift) {
  const __m256 rate = _mm256_set1_ps(kLog2E), least = _mm256_set1_ps(kLeastExponent);
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 16; i += 8) {
    const __m256 power =
        _mm256_max_ps(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), shift), rate), least);
    const __m256 whole = _mm256_round_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256 f = _mm256_sub_ps(power, whole);
    __m256 p = _mm256_set1_ps(kExp2Terms[0]);
    KAKEYA_UNROLL
    for (int t = 1; t < 6; ++t) p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(kExp2Terms[t]));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    _mm256_storeu_ps(x + i, _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))));
  }
}

}  // namespace

float exp_sum_avx2(float* x, float shift, std::size_t n) {
  const __m256 shifts = _mm256_set1_ps(shift);
  __m256 total[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  const auto add = [&](const float* from) __attribute__((always_inline)) {
    total[0] = _mm256_add_ps(total[0], _mm256_loadu_ps(from));
    total[1] = _mm256_add_ps(total[1], _mm256_loadu_ps(from + 8));
  };
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    exponentials(x + i, shifts);
    add(x + i);
  }
  if (i < n) {
    alignas(32) float rest[16];
    std::fill_n(rest, 16, shift);
    std::copy_n(x + i, n - i, rest);
    exponentials(rest, shifts);
    std::copy_n(rest, n - i, x + i);
    std::fill(rest + (n - i), rest + 16, 0.0f);
    add(rest);
  }
  const __m256 eight = _mm256_add_ps(total[0], total[1]);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

void round_pair_avx2(const float* x, const float* factors, const PairRows& out, std::size_t row) {
  std::int8_t* high = out.high(row);
  std::int8_t* low = out.low(row);
  const auto value = [&](std::size_t i) __attribute__((always_inline)) {
    const __m256 v = _mm256_loadu_ps(x + i);
    return factors != nullptr ? _mm256_mul_ps(v, _mm256_loadu_ps(factors + i)) : v;
  };
  // Of the bits without sign: NaN is above infinity, infinity above all numbers.
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  __m256i most = _mm256_setzero_si256();
  for (std::size_t i = 0; i < out.cols; i += 8) {
    most = _mm256_max_epi32(most, _mm256_castps_si256(_mm256_and_ps(value(i), magnitude)));
  }
  alignas(32) std::int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), most);
  const std::int32_t bits = *std::max_element(lanes, lanes + 8);
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
  const __m256 inverse = _mm256_set1_ps(kTop / largest);
  // Packing works within 128-bit lanes: this puts its 4-byte pieces back in order.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i half = _mm256_set1_epi16(64), rest = _mm256_set1_epi16(127);
  const auto code = [&](std::size_t i) __attribute__((always_inline)) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(value(i), inverse));
  };
  for (std::size_t i = 0; i < out.cols; i += 32) {
    // 16-bit numbers code + 64 = 128 high + (low + 64).
    const __m256i a = _mm256_add_epi16(_mm256_packs_epi32(code(i), code(i + 8)), half);
    const __m256i b = _mm256_add_epi16(_mm256_packs_epi32(code(i + 16), code(i + 24)), half);
    const __m256i top = _mm256_packs_epi16(_mm256_srai_epi16(a, 7), _mm256_srai_epi16(b, 7));
    const __m256i bottom = _mm256_sub_epi8(
        _mm256_packus_epi16(_mm256_and_si256(a, rest), _mm256_and_si256(b, rest)), _mm256_set1_epi8(64));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high + i), _mm256_permutevar8x32_epi32(top, order));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low + i), _mm256_permutevar8x32_epi32(bottom, order));
  }
}

void code_scores_avx2(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                      Rows<float> scores) {
  plain::scores(queries, keys, n, scales, scores);
}
void code_sums_avx2(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  plain::sums(weights, values, y);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET

KAKEYA_BEGIN_TARGET("avx2,avxvnni")
namespace kakeya::kernels {
namespace {
namespace vnni {
constexpr std::size_t kRowBlock = 6;  // their twelve sums hide the latency and still fit the registers
KAKEYA_INLINE __m256i dot(__m256i sums, __m256i a, __m256i b) { return _mm256_dpwssd_avx_epi32(sums, a, b); }
#include "kernels/code_products_avx2-inl.h"
}  // namespace vnni
}  // namespace

void code_scores_avx2_vnni(const PairRows& queries, const std::int8_t* keys, std::size_t n,
                           const float* scales, Rows<float> scores) {
  vnni::scores(queries, keys, n, scales, scores);
}
void code_sums_avx2_vnni(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  vnni::sums(weights, values, y);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
