// Products of int8 codes with AMX tiles: high and low parts of a group's rows are one tile, and their sums
// are joined as they leave the tiles.
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

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,fma,amx-tile,amx-int8")
namespace kakeya::kernels {
namespace {

#include "kernels/code_products_avx512-inl.h"
// After the macros of the other.
#include "kernels/amx_tiles-inl.h"
#include "kernels/code_tiles-inl.h"

struct Int8 {
  static constexpr std::size_t kBytes = 1;  // PairRows::part_bytes
  static constexpr int kCodes = 5;          // to 7 in turn
  // As many for a shorter group, so that all calls share their tiles: rows beyond it are read and not used.
  static std::size_t tile_rows(std::size_t) { return 16; }
  static KAKEYA_INLINE void load_rows(const Factors& x, std::size_t step) {
    tile_load<kRows>(x.rows + 64 * step, x.row_bytes);
  }
  template <int kSum>
  static KAKEYA_INLINE void add(const std::int8_t* codes) {
    constexpr int kTile = kCodes + kSum % (kTiles - kCodes);
    tile_load<kTile>(codes, 64);
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kRows), "i"(kTile));
  }
  static void stir() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums - 1), "i"(kRows), "i"(kCodes));
  }
  static KAKEYA_INLINE __m512 sum(const TileSums& sums, std::size_t row, std::size_t rows) {
    return joined(sums[row], sums[rows + row]);
  }
};

// Dword t of every lane of four vectors side by side in vector t.
KAKEYA_INLINE void transpose_lanes(__m512i (&x)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  const __m512i c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
  x[0] = _mm512_unpacklo_epi64(a, c);
  x[1] = _mm512_unpackhi_epi64(a, c);
  x[2] = _mm512_unpacklo_epi64(b, d);
  x[3] = _mm512_unpackhi_epi64(b, d);
}

// Queries of one group as a tile for every 64 dims: row t the four dims from 4 t on of [high parts of rows 0
// to 3, their low parts, those of rows 4 to 7]. A half without rows is left as it is.
KAKEYA_INLINE void fill_columns(const PairRows& queries, std::size_t group, std::int8_t* out) {
  const std::size_t rows = queries.group_rows(group), first = group * queries.group_size();
  const auto store_lanes = [](__m512i x, std::int8_t * to) __attribute__((always_inline)) {
    _mm_store_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(x));
    _mm_store_si128(reinterpret_cast<__m128i*>(to + 64 * 4), _mm512_extracti32x4_epi32(x, 1));
    _mm_store_si128(reinterpret_cast<__m128i*>(to + 64 * 8), _mm512_extracti32x4_epi32(x, 2));
    _mm_store_si128(reinterpret_cast<__m128i*>(to + 64 * 12), _mm512_extracti32x4_epi32(x, 3));
  };
  for (std::size_t i = 0; i < queries.cols; i += 64, out += kTileBytes) {
    for (std::size_t four = 0; four < rows; four += 4) {
      for (std::size_t part = 0; part < 2; ++part) {
        __m512i x[4];
        KAKEYA_UNROLL
        for (std::size_t r = 0; r < 4; ++r) {
          const std::size_t row = first + std::min(four + r, rows - 1);
          x[r] = _mm512_loadu_si512((part == 0 ? queries.high(row) : queries.low(row)) + i);
        }
        transpose_lanes(x);
        KAKEYA_UNROLL
        for (std::size_t t = 0; t < 4; ++t) store_lanes(x[t], out + 64 * t + 8 * four + 16 * part);
      }
    }
  }
}

// Scores of int8 codes: keys are the rows of the products and queries their columns, so that keys need not be
// laid out for them.
struct RowScores {
  const PairRows& queries;
  const std::int8_t* columns;
  const std::int8_t* keys;
  std::size_t n;
  const float* scales;
  Rows<float> out;

  void operator()() const {
    const GroupTiles<Int8> tiles(queries.rows);
    for (std::size_t first = 0, group = 0; first < queries.rows; first += queries.group_size(), ++group) {
      const std::int8_t* group_columns = columns + group * 16 * queries.cols;
      const std::size_t rows = queries.group_rows(group), blocks = n / 16;
      const auto start = [&](std::size_t i) __attribute__((always_inline)) {
        multiply(i * kSums, blocks, group_columns);
      };
      const auto finish = [&](std::size_t i, const TileSums(&sums)[kSums]) __attribute__((always_inline)) {
        for (std::size_t b = 0, block = i * kSums; b < kSums && block < blocks; ++b, ++block) {
          store_four(sums[b], 0, first, std::min<std::size_t>(4, rows), 16 * block);
          if (rows > 4) store_four(sums[b], 4, first + 4, rows - 4, 16 * block);
        }
      };
      pipeline((blocks + kSums - 1) / kSums, start, finish);
    }
  }

 private:
  // Of four blocks of keys; the last stands for those beyond it.
  KAKEYA_INLINE void multiply(std::size_t first, std::size_t blocks, const std::int8_t* group_columns) const {
    const std::int8_t* at[kSums];
    KAKEYA_UNROLL
    for (std::size_t b = 0; b < kSums; ++b)
      at[b] = keys + std::min(first + b, blocks - 1) * 16 * queries.cols;
    tile_clear<0>();
    tile_clear<1>();
    tile_clear<2>();
    tile_clear<3>();
    for (std::size_t step = 0; step < queries.cols / 64; ++step) {
      tile_load<kRows>(group_columns + kTileBytes * step, 64);
      add<0>(at[0] + 64 * step);
      add<1>(at[1] + 64 * step);
      add<2>(at[2] + 64 * step);
      add<3>(at[3] + 64 * step);
    }
  }
  template <int kSum>
  KAKEYA_INLINE void add(const std::int8_t* rows) const {
    constexpr int kTile = Int8::kCodes + kSum % (kTiles - Int8::kCodes);
    tile_load<kTile>(rows, queries.cols);
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kTile), "i"(kRows));
  }

  // Of 16 keys from `key` on, the columns of four rows from column 2 `four` on.
  KAKEYA_INLINE void store_four(const TileSums& sums, std::size_t four, std::size_t row, std::size_t rows,
                                std::size_t key) const {
    const auto two = [&](std::size_t a, std::size_t b) __attribute__((always_inline)) {
      const auto half = [&](std::size_t k) __attribute__((always_inline)) {
        return _mm256_load_si256(reinterpret_cast<const __m256i*>(&sums[k]) + four / 4);
      };
      return _mm512_inserti64x4(_mm512_castsi256_si512(half(a)), half(b), 1);
    };
    __m512i x[4];  // lane l of vector v is key 4 l + v
    KAKEYA_UNROLL
    for (std::size_t v = 0; v < 4; ++v) {
      const __m512i a = two(v, 4 + v), b = two(8 + v, 12 + v);
      const __m512i high = _mm512_shuffle_i32x4(a, b, 0x88), low = _mm512_shuffle_i32x4(a, b, 0xdd);
      x[v] = _mm512_add_epi32(_mm512_slli_epi32(high, 7), low);
    }
    transpose_lanes(x);
    const __m512 scale = _mm512_loadu_ps(scales + key);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < 4; ++r) {
      if (r >= rows) break;
      const __m512 score = _mm512_mul_ps(_mm512_cvtepi32_ps(x[r]), scale);
      _mm512_storeu_ps(out.data + (row + r) * out.stride + key,
                       _mm512_mul_ps(score, _mm512_set1_ps(queries.steps[row + r])));
    }
  }
};

}  // namespace

void code_scores_amx(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                     Rows<float> scores) {
  for_groups(queries, Scores<Int8>{queries, keys, n, scales, scores});
}

void query_columns_amx(const PairRows& queries, std::int8_t* out) {
  for (std::size_t group = 0; group * queries.group_size() < queries.rows; ++group)
    fill_columns(queries, group, out + group * 16 * queries.cols);
}

void row_scores_amx(const PairRows& queries, const std::int8_t* columns, const std::int8_t* keys,
                    std::size_t n, const float* scales, Rows<float> scores) {
  RowScores{queries, columns, keys, n, scales, scores}();
}

void code_sums_amx(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  for_groups(weights, Sums<Int8>{weights, values, y});
}

const SleepyUnit kInt8Tiles = {hold_tiles<Int8>, Int8::stir, release_tiles<Int8>};

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
