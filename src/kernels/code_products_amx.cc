// Products of codes with AMX tiles. A group of up to eight rows is one tile of their high and low bytes; a
// product is 64 dims of 16 keys, or 64 rows of 16 dims.
#include "kernels/code_products_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,fma,amx-tile,amx-int8")
namespace kakeya::kernels {
namespace {

#include "kernels/code_products_avx512-inl.h"

// Sums in tiles 0 to 3, then rows and codes.
constexpr int kSums = 4, kRows = 4, kCodes = 5;
constexpr std::size_t kTileBytes = 1024;
// Sums are read when those of the next kLag groups of keys have been started.
constexpr std::size_t kLag = 2, kRing = 4;

using TileSums = std::int32_t[16][16];

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// The tile registers of this thread while groups of `rows` rows are at work: a thread that keeps them pays
// for it at every switch.
class TileRegisters {
 public:
  explicit TileRegisters(std::size_t rows) {
    TileConfig config;
    for (int tile = 0; tile <= kCodes; ++tile) {
      config.rows[tile] = tile == kCodes ? 16 : static_cast<std::uint8_t>(2 * rows);
      config.row_bytes[tile] = 64;
    }
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  ~TileRegisters() { asm volatile("tilerelease"); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// Not the compilers' own intrinsics: GCC 12's do not tell it that they read and write memory.
template <int kTile>
KAKEYA_INLINE void tile_load(const void* p, std::size_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
KAKEYA_INLINE void tile_store(void* p) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(64L), "i"(kTile) : "memory");
}
template <int kTile>
KAKEYA_INLINE void tile_clear() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
template <int kTile>
KAKEYA_INLINE void tile_add() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kTile), "i"(kRows), "i"(kCodes));
}

// Calls f(first group, last group, rows of a group) for the full groups, then for a shorter last one.
template <class F>
KAKEYA_INLINE void for_groups(const PairRows& x, F f) {
  const std::size_t full = x.rows / PairRows::kGroup, rest = x.rows % PairRows::kGroup;
  if (full > 0) f(0, full, PairRows::kGroup);
  if (rest > 0) f(full, full + 1, rest);
}

struct Scores {
  const PairRows& queries;
  const std::int8_t* keys;
  std::size_t n;
  const float* scales;
  Rows<float> out;

  void operator()(std::size_t first, std::size_t last, std::size_t rows) const {
    const TileRegisters registers(rows);
    alignas(64) TileSums ring[kRing];
    const std::size_t groups = last - first, products = n / 16 * groups;
    std::size_t at = 0;
    for (std::size_t block = 0; block < n / 16; ++block) {
      for (std::size_t g = first; g < last; ++g, ++at) {
        multiply(g, block, ring[at % kRing]);
        if (at >= kLag) finish(at - kLag, groups, first, rows, ring[(at - kLag) % kRing]);
      }
    }
    for (std::size_t i = products < kLag ? 0 : products - kLag; i < products; ++i) {
      finish(i, groups, first, rows, ring[i % kRing]);
    }
  }

  KAKEYA_INLINE void multiply(std::size_t group, std::size_t block, TileSums& sums) const {
    const std::size_t dim = queries.cols;
    const std::int8_t* codes = keys + block * 16 * dim;
    const std::int8_t* rows = queries.group(group);
    tile_clear<0>();
    for (std::size_t i = 0; i < dim; i += 64) {
      tile_load<kCodes>(codes + i * 16, 64);
      tile_load<kRows>(rows + i, dim);
      tile_add<0>();
    }
    tile_store<0>(sums);
  }

  KAKEYA_INLINE void finish(std::size_t at, std::size_t groups, std::size_t first, std::size_t rows,
                            const TileSums& sums) const {
    const std::size_t key = at / groups * 16, row = (first + at % groups) * PairRows::kGroup;
    const __m512 scale = _mm512_loadu_ps(scales + key);
    for (std::size_t r = 0; r < rows; ++r) {
      const __m512 score = scored(_mm512_load_si512(sums[r]), _mm512_load_si512(sums[rows + r]), scale,
                                  queries.steps[row + r]);
      _mm512_storeu_ps(out.data + (row + r) * out.stride + key, score);
    }
  }
};

struct Sums {
  const PairRows& weights;
  const std::int8_t* values;
  Rows<float> y;

  void operator()(std::size_t first, std::size_t last, std::size_t rows) const {
    const TileRegisters registers(rows);
    alignas(64) TileSums sums[kSums];
    const std::size_t tiles = y.cols / 16;
    for (std::size_t g = first; g < last; ++g) {
      for (std::size_t t = 0; t < tiles; t += kSums) {
        multiply(weights.group(g), t, tiles, sums);
        for (std::size_t r = 0; r < rows; ++r) {
          const std::size_t row = g * PairRows::kGroup + r;
          float* out = y.data + row * y.stride + t * 16;
          for (std::size_t i = 0; i < kSums; ++i) {
            const __m512i high = _mm512_load_si512(sums[i][r]), low = _mm512_load_si512(sums[i][rows + r]);
            _mm512_storeu_ps(out + 16 * i, stepped(high, low, weights.steps[row]));
          }
        }
      }
    }
  }

  // Four neighbouring tiles of 16 dims over all values.
  KAKEYA_INLINE void multiply(const std::int8_t* rows, std::size_t tile, std::size_t tiles,
                              TileSums (&sums)[kSums]) const {
    tile_clear<0>();
    tile_clear<1>();
    tile_clear<2>();
    tile_clear<3>();
    for (std::size_t j = 0; j < weights.cols; j += 64) {
      const std::int8_t* codes = values + (j / 64 * tiles + tile) * kTileBytes;
      tile_load<kRows>(rows + j, weights.cols);
      add<0>(codes);
      add<1>(codes);
      add<2>(codes);
      add<3>(codes);
    }
    tile_store<0>(sums[0]);
    tile_store<1>(sums[1]);
    tile_store<2>(sums[2]);
    tile_store<3>(sums[3]);
  }
  template <int kTile>
  static KAKEYA_INLINE void add(const std::int8_t* codes) {
    tile_load<kCodes>(codes + kTile * kTileBytes, 64);
    tile_add<kTile>();
  }
};

}  // namespace

void code_scores_amx(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                     Rows<float> scores) {
  for_groups(queries, Scores{queries, keys, n, scales, scores});
}

void code_sums_amx(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  for_groups(weights, Sums{weights, values, y});
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
