// Int8 products of x86 at full speed. The empty asm keeps every sum a value of its own in a register.
#include "kernels/peaks_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <cstddef>

#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx2")
namespace kakeya::kernels {

void maddubs_rounds(std::uint64_t rounds) {
  constexpr std::size_t kSums = 12;
  const __m256i x = _mm256_set1_epi8(3);
  __m256i y = _mm256_set1_epi8(5), sums[kSums] = {};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    KAKEYA_UNROLL_ALL
    for (std::size_t s = 0; s < kSums; ++s) {
      asm volatile("" : "+x"(y));
      sums[s] = _mm256_add_epi16(sums[s], _mm256_maddubs_epi16(x, y));
      asm volatile("" : "+x"(sums[s]));
    }
  }
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET

KAKEYA_BEGIN_TARGET("avx2,avxvnni")
namespace kakeya::kernels {

void avx_vnni_rounds(std::uint64_t rounds) {
  constexpr std::size_t kSums = 12;
  const __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  __m256i sums[kSums] = {};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    KAKEYA_UNROLL_ALL
    for (std::size_t s = 0; s < kSums; ++s) {
      sums[s] = _mm256_dpbusd_avx_epi32(sums[s], x, y);
      asm volatile("" : "+x"(sums[s]));
    }
  }
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512vnni")
namespace kakeya::kernels {

void vnni_rounds(std::uint64_t rounds) {
  constexpr std::size_t kSums = 16;
  const __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  __m512i sums[kSums] = {};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    KAKEYA_UNROLL_ALL
    for (std::size_t s = 0; s < kSums; ++s) {
      sums[s] = _mm512_dpbusd_epi32(sums[s], x, y);
      asm volatile("" : "+v"(sums[s]));
    }
  }
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET

KAKEYA_BEGIN_TARGET("amx-tile,amx-int8")
namespace kakeya::kernels {

void amx_rounds(std::uint64_t rounds) {
  struct alignas(64) Config {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  static_assert(sizeof(Config) == 64);
  const Config config;
  asm volatile("ldtilecfg %0" ::"m"(config));  // the intrinsic of GCC 12 claims to read 8 bytes of it
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
