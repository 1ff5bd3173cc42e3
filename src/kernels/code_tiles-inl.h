// Scores and sums of codes in the tile registers of AMX, for int8 and bf16 (the class Code says how). 64
// bytes of each row of a group are one or two tiles; a tile of codes is as many dims of 16 keys, or as many
// rows of 16 dims. Included inside the region of a file that compiles for it, within its own namespace, after
// amx_tiles-inl.h.

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
