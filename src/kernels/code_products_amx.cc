// Products of codes with AMX tiles. 64 bytes of each row of a group are a tile of high and low parts (int8)
// or a tile of high and one of low parts that add to the same sums (bf16); a tile of codes is as many dims of
// 16 keys, or as many rows of 16 dims.
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

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,amx-tile,amx-int8,amx-bf16")
namespace kakeya::kernels {
namespace {

#include "kernels/code_products_avx512-inl.h"
// After the macros of the other.
#include "kernels/amx_tiles-inl.h"

// Sums in tiles 0 to 3, then rows and codes.
constexpr int kSums = 4, kRows = 4, kTiles = 8;
constexpr std::size_t kTileBytes = 1024;

// Sums of 16 rows with 16 keys or dims, int32 or float.
using TileSums = __m512i[16];

// For tiles of `rows` rows before those of codes.
TileConfig code_tiles_config(std::size_t rows, int first_codes) {
  TileConfig config;
  for (int tile = 0; tile < kTiles; ++tile) config.set(tile, tile >= first_codes ? 16 : rows, 64);
  return config;
}

// One group's rows, `steps` times 64 bytes of each, with four columns of tiles of codes, the tiles of a
// column `code_step` apart.
struct Factors {
  const std::int8_t* rows;
  std::size_t group_rows, row_bytes;
  const std::int8_t* codes[kSums];
  std::size_t code_step, steps;
};

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

// Rows of the tiles that hold() has set for this thread, or 0.
template <class Code>
thread_local std::size_t held_rows = 0;

template <class Code>
void set_tiles(std::size_t tile_rows) {
  const TileConfig config = code_tiles_config(tile_rows, Code::kCodes);
  asm volatile("ldtilecfg %0" ::"m"(config));
}

// Tiles for groups of `rows` rows, for one call. Setting them takes as long as a small product: those that
// hold() has set stay.
template <class Code>
class GroupTiles {
 public:
  explicit GroupTiles(std::size_t rows) : held_(held_rows<Code>), own_(held_ != Code::tile_rows(rows)) {
    if (own_) set_tiles<Code>(Code::tile_rows(rows));
  }
  ~GroupTiles() {
    if (!own_) return;
    held_ != 0 ? set_tiles<Code>(held_) : release();
  }
  GroupTiles(const GroupTiles&) = delete;
  GroupTiles& operator=(const GroupTiles&) = delete;

 private:
  static void release() { asm volatile("tilerelease"); }

  std::size_t held_;
  bool own_;
};

template <class Code>
void hold_tiles(std::size_t rows) {
  held_rows<Code> = Code::tile_rows(std::min(rows, PairRows{.part_bytes = Code::kBytes}.group_size()));
  set_tiles<Code>(held_rows<Code>);
}
template <class Code>
void release_tiles() {
  held_rows<Code> = 0;
  asm volatile("tilerelease");
}

// Dword t of every lane of four vectors side by side in vector t.
KAKEYA_INLINE void transpose_lanes(__m512i (&x)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  const __m512i c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
  x[0] = _mm512_unpacklo_epi64(a, c);
  x[1] = _mm512_unpackhi_epi64(a, c);
  x[2] = _mm512_unpacklo_epi64(b, d);
  x[3] = _mm512_unpackhi_epi64(b, d);
}

template <class Code>
KAKEYA_INLINE void multiply(const Factors& x) {
  tile_clear<0>();
  tile_clear<1>();
  tile_clear<2>();
  tile_clear<3>();
  for (std::size_t i = 0, at = 0; i < x.steps; ++i, at += x.code_step) {
    Code::load_rows(x, i);
    Code::template add<0>(x.codes[0] + at);
    Code::template add<1>(x.codes[1] + at);
    Code::template add<2>(x.codes[2] + at);
    Code::template add<3>(x.codes[3] + at);
  }
}

KAKEYA_INLINE void store_sums(TileSums (&sums)[kSums]) {
  tile_store<0>(sums[0]);
  tile_store<1>(sums[1]);
  tile_store<2>(sums[2]);
  tile_store<3>(sums[3]);
}

// Calls f(first group, last group, rows of a group) for the full groups, then for a shorter last one.
template <class F>
KAKEYA_INLINE void for_groups(const PairRows& x, const F& f) {
  const std::size_t full = x.rows / x.group_size(), rest = x.rows % x.group_size();
  if (full > 0) f(0, full, x.group_size());
  if (rest > 0) f(full, full + 1, rest);
}

// Calls start(i) for i in [0, n) in turn, which multiplies, and finish(i, sums) one later: sums just stored
// are not yet where loads find them. The loads of one product come before the stores of the next, which lie
// in the same place: a load behind a store that agrees with it in the lowest 12 bits of the address waits for
// it.
template <class Start, class Finish>
KAKEYA_INLINE void pipeline(std::size_t n, const Start& start, const Finish& finish) {
  alignas(64) TileSums sums[kSums];
  for (std::size_t i = 0; i < n; ++i) {
    start(i);
    if (i > 0) finish(i - 1, sums);
    store_sums(sums);
  }
  if (n > 0) finish(n - 1, sums);
}

template <class Code>
struct Scores {
  const PairRows& queries;
  const std::int8_t* keys;
  std::size_t n;
  const float* scales;
  Rows<float> out;

  void operator()(std::size_t first, std::size_t last, std::size_t rows) const {
    const GroupTiles<Code> tiles(rows);
    const std::size_t runs = (n / 16 + kSums - 1) / kSums;
    const auto start = [&](std::size_t i) __attribute__((always_inline)) {
      const std::size_t bytes = queries.row_bytes(), block = i % runs * kSums;
      Factors x = {queries.group(first + i / runs), rows, bytes, {}, kTileBytes, bytes / 64};
      // Of four blocks of keys; the last stands for those beyond it.
      for (std::size_t b = 0; b < kSums; ++b)
        x.codes[b] = keys + std::min(block + b, n / 16 - 1) * 16 * bytes;
      multiply<Code>(x);
    };
    const auto finish = [&](std::size_t i, const TileSums(&sums)[kSums]) __attribute__((always_inline)) {
      const std::size_t row = (first + i / runs) * queries.group_size(), block = i % runs * kSums;
      for (std::size_t b = 0; b < std::min<std::size_t>(kSums, n / 16 - block); ++b) {
        const std::size_t key = 16 * (block + b);
        const __m512 scale = _mm512_loadu_ps(scales + key);
        for (std::size_t r = 0; r < rows; ++r) {
          const __m512 sum = _mm512_mul_ps(Code::sum(sums[b], r, rows), scale);
          _mm512_storeu_ps(out.data + (row + r) * out.stride + key,
                           _mm512_mul_ps(sum, _mm512_set1_ps(queries.steps[row + r])));
        }
      }
    };
    pipeline((last - first) * runs, start, finish);
  }
};

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

template <class Code>
struct Sums {
  const PairRows& weights;
  const std::int8_t* values;
  Rows<float> y;

  void operator()(std::size_t first, std::size_t last, std::size_t rows) const {
    const GroupTiles<Code> tiles(rows);
    const std::size_t groups = last - first, columns = y.cols / 16, runs = columns / kSums;
    const auto start = [&](std::size_t i) __attribute__((always_inline)) {
      const std::size_t bytes = weights.row_bytes();
      Factors x = {weights.group(first + i % groups), rows, bytes, {}, columns * kTileBytes, bytes / 64};
      for (std::size_t b = 0; b < kSums; ++b) x.codes[b] = values + (i / groups * kSums + b) * kTileBytes;
      multiply<Code>(x);
    };
    const auto finish = [&](std::size_t i, const TileSums(&sums)[kSums]) __attribute__((always_inline)) {
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t row = (first + i % groups) * weights.group_size() + r;
        const __m512 step = _mm512_set1_ps(weights.steps[row]);
        float* to = y.data + row * y.stride + i / groups * kSums * 16;
        for (std::size_t b = 0; b < kSums; ++b)
          _mm512_storeu_ps(to + 16 * b, _mm512_mul_ps(Code::sum(sums[b], r, rows), step));
      }
    };
    pipeline(groups * runs, start, finish);
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
const SleepyUnit kBf16Tiles = {hold_tiles<Bf16>, Bf16::stir, release_tiles<Bf16>};

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

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
