// Products of panels with vectors of 256 bits: with the dot product of AVX-VNNI where the CPU has it;
// otherwise pairs of bytes are multiplied into 16 bits, as many added there as fit.
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

KAKEYA_BEGIN_TARGET("avx2,fma,f16c")
namespace kakeya::kernels {
namespace {
namespace pairs {
#include "kernels/panel_tiles-inl.h"
// An unsigned byte times two activations does not fit 16 bits.
constexpr bool kSignedBytes = true;
// As many products of two pairs as fit 16 bits, 2 * 127 * largest code each.
template <WeightType kType>
constexpr std::size_t kSums = panel_layout(kType).low_bytes == 512   ? 1
                              : panel_layout(kType).high_bytes == 0  ? 8
                              : panel_layout(kType).high_bytes == 64 ? 4
                                                                     : 2;
template <WeightType kType, class Words>
KAKEYA_INLINE __m256i add_groups(__m256i start, const __m256i (&codes)[kBlockGroups], const Words& words,
                                 std::size_t from) {
  __m256i pairs = _mm256_setzero_si256();
  KAKEYA_UNROLL
  for (std::size_t g = from; g < from + kSums<kType>; ++g) {
    const __m256i product =
        panel_layout(kType).low_bytes == 512
            ? _mm256_maddubs_epi16(_mm256_abs_epi8(codes[g]), _mm256_sign_epi8(words[g], codes[g]))
            : _mm256_maddubs_epi16(codes[g], words[g]);
    pairs = g == from ? product : _mm256_add_epi16(pairs, product);
  }
  return _mm256_add_epi32(start, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#include "kernels/panel_avx2-inl.h"
// After the kernel of a few rows.
#include "kernels/panel_rows-inl.h"
}  // namespace pairs
}  // namespace

void panel_matmul_avx2(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                       std::size_t last) {
  pairs::matmul(w, x, y, first, last);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET

KAKEYA_BEGIN_TARGET("avx2,fma,f16c,avxvnni")
namespace kakeya::kernels {
namespace {
namespace fours {
#include "kernels/panel_tiles-inl.h"
constexpr bool kSignedBytes = false;
template <WeightType>
constexpr std::size_t kSums = 1;
template <WeightType, class Words>
KAKEYA_INLINE __m256i add_groups(__m256i start, const __m256i (&codes)[kBlockGroups], const Words& words,
                                 std::size_t g) {
  return _mm256_dpbusd_avx_epi32(start, codes[g], words[g]);
}
#include "kernels/panel_avx2-inl.h"
// After the kernel of a few rows.
#include "kernels/panel_rows-inl.h"
}  // namespace fours
}  // namespace

void panel_matmul_avx2_vnni(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                            std::size_t last) {
  fours::matmul(w, x, y, first, last);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
