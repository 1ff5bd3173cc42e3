// Products of panels with AMX tiles, 16 rows at a time. A block of 32 inputs is one tile product (Q6_K: two);
// its integer sums go through memory to the vector registers that hold the 16 x 16 sums in float.
#include "kernels/panel_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/panel_layout.h"
#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,gfni,f16c,fma,amx-tile,amx-int8")
namespace kakeya::kernels {
namespace {

#include "kernels/panel_tiles-inl.h"
// After the tiles.
#include "kernels/panel_avx512-inl.h"

// Below this number of rows the vector kernels are faster.
constexpr std::size_t kFewestRows = 7;
// Blocks of a panel that are unpacked once for all groups of rows, in the first-level cache.
constexpr std::size_t kSlice = 32;
// Panels whose sums stay near while a slice of each is worked on.
constexpr std::size_t kPanels = 16;
// Codes of a run of rows, which stay in the second-level cache while panels go by, and the most rows of a
// run.
constexpr std::size_t kRunCodes = std::size_t{1} << 20;
constexpr std::size_t kRunRows = 512;
// How far ahead of use weights are asked for when they are read once and in order.
constexpr std::size_t kAhead = 9000;
// Tile products under way: the sums of block b are read when those of block b + kLag have been started.
constexpr std::size_t kLag = 2, kRing = 4;
// Blocks between unpacking and the tile load: it waits long for stores that have not reached the cache.
constexpr std::size_t kEarly = 12, kUnpackRing = 32;
constexpr std::size_t kBlockCodes = kPanelOutputs * kActivationBlock;

template <WeightType kType>
constexpr std::size_t kParts = kType == WeightType::kQ6K ? 2 : 1;
// Weights reach the tiles signed where that takes the zero point off.
template <WeightType kType>
constexpr bool kSigned = panel_layout(kType).zero != 0;

struct Scratch {
  alignas(64) std::uint8_t codes[kSlice][kBlockCodes];
  alignas(64) float scale[kSlice][2][kPanelOutputs];
  alignas(64) float min[kSlice][kPanelOutputs];
  // [part][ring]: the ring as dense as can be. A load 4096 bytes from a store under way waits for it.
  alignas(64) std::int32_t sums[2][kRing][Int8Rows::kGroup][kPanelOutputs];
  alignas(64) float acc[kRunRows][kPanelOutputs];  // between slices
};

// Tiles: sums, activations and weights; sums and activations again for the last, shorter group.
constexpr int kSums = 0, kRows = 1, kCodes = 2, kLastSums = 3, kLastRows = 4;

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  void set(int tile, std::size_t count, std::size_t bytes) {
    rows[tile] = static_cast<std::uint8_t>(count);
    row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  }
};
static_assert(sizeof(TileConfig) == 64);

// The tile registers of this thread, for one call: a thread that keeps them pays for it at every switch.
class TileRegisters {
 public:
  TileRegisters(std::size_t rows, std::size_t last_rows, std::size_t parts) {
    TileConfig config;
    config.set(kSums, rows, 64);
    config.set(kRows, rows, kActivationBlock / parts);
    config.set(kCodes, kBlockGroups / parts, 64);
    config.set(kLastSums, last_rows, 64);
    config.set(kLastRows, last_rows, kActivationBlock / parts);
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  ~TileRegisters() { asm volatile("tilerelease"); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// Not the compilers' own intrinsics: GCC 12's do not tell it that they read and write memory.
template <int kTile>
KAKEYA_INLINE void tile_load(const void* p, long stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
KAKEYA_INLINE void tile_store(void* p) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(64L), "i"(kTile) : "memory");
}
// sums = rows . codes, rows signed.
template <int kSumsTile, int kRowsTile, bool kSignedCodes>
KAKEYA_INLINE void tile_product() {
  if constexpr (kSignedCodes) {
    asm volatile("tilezero %%tmm%c0\n\ttdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSumsTile), "i"(kRowsTile),
                 "i"(kCodes));
  } else {
    asm volatile("tilezero %%tmm%c0\n\ttdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSumsTile), "i"(kRowsTile),
                 "i"(kCodes));
  }
}

// The eight k-groups of a block less the zero point.
template <WeightType kType>
KAKEYA_INLINE void load_signed(const std::uint8_t* block, __m512i (&codes)[kBlockGroups]) {
  if constexpr (kType == WeightType::kQ4_0) {
    // A bit matrix takes a nibble to nibble - 8: bit 3 inverted, and copied upwards.
    const __m512i low = _mm512_set1_epi64(0x0102040808080808);
    const __m512i high = _mm512_set1_epi64(0x1020408080808080);
    KAKEYA_UNROLL
    for (std::size_t g = 0; g < kBlockGroups; ++g) {
      const __m512i pair = load_vector(block + g / 2 * kPanelVector);
      codes[g] = _mm512_gf2p8affine_epi64_epi8(pair, g % 2 == 0 ? low : high, 0xf8);
    }
    return;
  }
  load_codes<kType>(block, codes);
  const __m512i zero = _mm512_set1_epi8(static_cast<char>(panel_layout(kType).zero));
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; ++g) {
    if constexpr (kSigned<kType>) codes[g] = _mm512_sub_epi8(codes[g], zero);
  }
}

template <WeightType kType>
KAKEYA_INLINE void unpack(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                          std::size_t slot, Scratch& scratch) {
  __m512i codes[kBlockGroups];
  load_signed<kType>(tiles.block(tile, j), codes);
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; ++g) {
    _mm512_store_si512(scratch.codes[slot] + g * kPanelVector, codes[g]);
  }
  const Scales scales = load_scales(tiles, tile, j);
  _mm512_store_ps(scratch.scale[slot][0], scales.scale);
  if constexpr (kParts<kType> == 2) _mm512_store_ps(scratch.scale[slot][1], scales.second);
  if constexpr (has_min(kType)) _mm512_store_ps(scratch.min[slot], scales.min);
}

// sums = activations . codes of one block.
template <WeightType kType, bool kLast>
KAKEYA_INLINE void multiply(const std::int8_t* x, const std::uint8_t* codes, std::size_t ring,
                            Scratch& scratch) {
  constexpr int kSumsTile = kLast ? kLastSums : kSums, kRowsTile = kLast ? kLastRows : kRows;
  KAKEYA_UNROLL
  for (std::size_t part = 0; part < kParts<kType>; ++part) {
    tile_load<kCodes>(codes + part * 4 * kPanelVector, kPanelVector);
    tile_load<kRowsTile>(x + part * 16, kActivationBlock);
    tile_product<kSumsTile, kRowsTile, kSigned<kType>>();
    tile_store<kSumsTile>(scratch.sums[part][ring]);
  }
}

template <WeightType kType, std::size_t R>
KAKEYA_INLINE void add_block(const Scratch& scratch, std::size_t slot, std::size_t ring, const Int8Rows& x,
                             std::size_t at, __m512 (&acc)[R]) {
  KAKEYA_UNROLL
  for (std::size_t part = 0; part < kParts<kType>; ++part) {
    const __m512 scale = _mm512_load_ps(scratch.scale[slot][part]);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(scratch.sums[part][ring][r]));
      acc[r] = _mm512_fmadd_ps(sum, _mm512_mul_ps(scale, _mm512_set1_ps(x.scales[at + r])), acc[r]);
    }
  }
  if constexpr (has_min(kType)) {
    const __m512 min = _mm512_load_ps(scratch.min[slot]);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      acc[r] = _mm512_fmadd_ps(min, _mm512_set1_ps(x.scaled_sums[at + r]), acc[r]);
    }
  }
}

// Lines to ask for while a group of rows is at work.
struct Lines {
  const std::uint8_t* at = nullptr;
  const std::uint8_t* end = nullptr;
  std::size_t per_block = 0;

  KAKEYA_INLINE void ask() {
    for (std::size_t i = 0; i < per_block && at < end; ++i, at += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0);
    }
  }
};

// The blocks of panels [first, end) in the order in which they are used: a slice of every panel, then the
// next.
template <WeightType kType>
class Walk {
 public:
  Walk(const Tiles<kType>& tiles, std::size_t first, std::size_t end, std::size_t blocks)
      : tiles_(tiles), first_(first), end_(end), blocks_(blocks), panel_(first) {
    start();
  }
  bool done() const { return slice_ >= blocks_; }
  const std::uint8_t* tile() const { return tile_; }
  std::size_t j() const { return j_; }

  // `count` blocks on: one, or a tile.
  KAKEYA_INLINE void next(std::size_t count) {
    if (left_ > count) {
      left_ -= count;
      j_ += count;
      if (j_ < tiles_.tile_blocks()) return;
      j_ = 0;
      tile_ += tiles_.tile_bytes();
      return;
    }
    if (++panel_ == end_) {
      panel_ = first_;
      slice_ += kSlice;
    }
    if (!done()) start();
  }

 private:
  void start() {
    tile_ = tiles_.tile(panel_, slice_);
    j_ = 0;
    left_ = std::min(kSlice, blocks_ - slice_);
  }

  const Tiles<kType>& tiles_;
  std::size_t first_, end_, blocks_, panel_, slice_ = 0, left_ = 0, j_ = 0;
  const std::uint8_t* tile_ = nullptr;
};

// Unpacks a walk's blocks into a ring, and asks for tiles ahead of that.
template <WeightType kType>
class Unpacker {
 public:
  Unpacker(const Tiles<kType>& tiles, std::size_t first, std::size_t end, std::size_t blocks,
           Scratch& scratch)
      : tiles_(tiles), walk_(tiles, first, end, blocks), fetch_(walk_), scratch_(scratch) {
    for (std::size_t bytes = 0; bytes < kAhead; bytes += tiles_.tile_bytes()) fetch();
  }
  KAKEYA_INLINE void next() {
    if (walk_.done()) return;
    if (walk_.j() == 0) fetch();
    unpack(tiles_, walk_.tile(), walk_.j(), slot_++ % kUnpackRing, scratch_);
    walk_.next(1);
  }

 private:
  KAKEYA_INLINE void fetch() {
    if (fetch_.done()) return;
    prefetch_lines(fetch_.tile(), tiles_.tile_bytes(), 0);
    fetch_.next(tiles_.tile_blocks());
  }

  const Tiles<kType>& tiles_;
  Walk<kType> walk_, fetch_;
  std::size_t slot_ = 0;
  Scratch& scratch_;
};

// R rows of a group through blocks [first, last), whose codes `slot` finds in scratch; `before` runs ahead of
// each block. Lanes of rows beyond x.rows hold what is there.
template <WeightType kType, std::size_t R, bool kLast, class Slot, class Before>
KAKEYA_INLINE void add_blocks(const Int8Rows& x, std::size_t first, std::size_t last, Slot slot,
                              Before before, Scratch& scratch, __m512 (&acc)[R]) {
  const std::size_t blocks = last - first;
  const std::int8_t* codes = x.codes + first * x.rows * kActivationBlock;
  for (std::size_t b = 0; b < blocks; ++b, codes += x.rows * kActivationBlock) {
    before(b);
    multiply<kType, kLast>(codes, scratch.codes[slot(b)], b % kRing, scratch);
    if (b < kLag) continue;
    add_block<kType, R>(scratch, slot(b - kLag), (b - kLag) % kRing, x, (first + b - kLag) * x.rows, acc);
  }
  for (std::size_t b = blocks < kLag ? 0 : blocks - kLag; b < blocks; ++b) {
    add_block<kType, R>(scratch, slot(b), b % kRing, x, (first + b) * x.rows, acc);
  }
}

template <std::size_t R>
KAKEYA_INLINE void store_rows(const __m512 (&acc)[R], std::size_t output, std::size_t last, Rows<float> y) {
  const __mmask16 mask = output_mask(output, last);
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    if (r < y.rows) _mm512_mask_storeu_ps(y.data + r * y.stride + output, mask, acc[r]);
  }
}

// Panels [first, end) for the only group of rows: weights are unpacked on the way. Slice by slice, so that
// the activations at work stay in the first-level cache; its misses are left to the weights.
template <WeightType kType, std::size_t R>
void add_panels(const Tiles<kType>& tiles, const Int8Rows& x, std::size_t first, std::size_t end,
                Rows<float> y, std::size_t last, Scratch& scratch) {
  const std::size_t blocks = x.cols / kActivationBlock;
  Unpacker<kType> unpacker(tiles, first, end, blocks, scratch);
  for (std::size_t i = 0; i < kEarly; ++i) unpacker.next();
  std::size_t done = 0;  // blocks before the slice at hand
  const auto slot = [&](std::size_t b) __attribute__((always_inline)) { return (done + b) % kUnpackRing; };
  const auto before = [&](std::size_t) __attribute__((always_inline)) { unpacker.next(); };
  for (std::size_t b = 0; b < blocks; b += kSlice) {
    const std::size_t b_end = std::min(blocks, b + kSlice);
    for (std::size_t panel = first; panel < end; ++panel, done += b_end - b) {
      auto* sums = scratch.acc + (panel - first) * Int8Rows::kGroup;
      __m512 acc[R];
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) acc[r] = b == 0 ? _mm512_setzero_ps() : _mm512_load_ps(sums[r]);
      add_blocks<kType, R, true>(x, b, b_end, slot, before, scratch, acc);
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) _mm512_store_ps(sums[r], acc[r]);
    }
  }
  // Row after row: rows of y are far apart, and a visit to each costs more than what is written there.
  for (std::size_t r = 0; r < x.rows; ++r) {
    for (std::size_t panel = first; panel < end; ++panel) {
      const std::size_t output = panel * kPanelOutputs;
      _mm512_mask_storeu_ps(y.data + r * y.stride + output, output_mask(output, last),
                            _mm512_load_ps(scratch.acc[(panel - first) * Int8Rows::kGroup + r]));
    }
  }
}

// A slice for one group of several: weights lie unpacked in scratch, sums too from slice to slice.
struct Slice {
  std::size_t panel, first, last, acc_row;
};
template <WeightType kType, std::size_t R, bool kLast>
void add_slice(const Int8Rows& x, const Slice& slice, Rows<float> y, std::size_t last, Lines& lines,
               Scratch& scratch) {
  __m512 acc[R];
  auto* sums = scratch.acc + slice.acc_row;
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    acc[r] = slice.first == 0 ? _mm512_setzero_ps() : _mm512_load_ps(sums[r]);
  }
  const auto slot = [](std::size_t b) __attribute__((always_inline)) { return b; };
  const auto before = [&](std::size_t) __attribute__((always_inline)) { lines.ask(); };
  add_blocks<kType, R, kLast>(x, slice.first, slice.last, slot, before, scratch, acc);
  if (slice.last * kActivationBlock == x.cols) return store_rows(acc, slice.panel * kPanelOutputs, last, y);
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) _mm512_store_ps(sums[r], acc[r]);
}

// Calls f with the number of rows rounded up to a number there is code for.
template <class F>
KAKEYA_INLINE void for_rows(std::size_t rows, F f) {
  if (rows <= 4) return f.template operator()<4>();
  if (rows <= 8) return f.template operator()<8>();
  if (rows <= 12) return f.template operator()<12>();
  f.template operator()<16>();
}

struct Matmul {
  const Weight& w;
  const Int8Rows& x;
  Rows<float> y;
  std::size_t first, last;

  template <WeightType kType>
  void operator()() const {
    const std::size_t groups = x.groups();
    const std::size_t last_rows = x.rows - (groups - 1) * Int8Rows::kGroup;
    const TileRegisters registers(Int8Rows::kGroup, last_rows, kParts<kType>);
    const Tiles<kType> tiles(w);
    Scratch scratch;
    const std::size_t begin = first / kPanelOutputs, end = (last + kPanelOutputs - 1) / kPanelOutputs;
    if (groups == 1) {
      for (std::size_t panel = begin; panel < end; panel += kPanels) {
        for_rows(x.rows, [&]<std::size_t R>() {
          add_panels<kType, R>(tiles, x, panel, std::min(end, panel + kPanels), y, last, scratch);
        });
      }
      return;
    }
    const std::size_t fitting = kRunCodes / x.cols / Int8Rows::kGroup;
    const std::size_t run = std::clamp<std::size_t>(fitting, 4, kRunRows / Int8Rows::kGroup);
    for (std::size_t group = 0; group < groups; group += run) {
      for (std::size_t panel = begin; panel < end; ++panel) {
        run_panel(tiles, panel, group, std::min(groups, group + run), scratch);
      }
    }
  }

  // A panel for groups [begin, end), unpacked slice by slice once for all of them.
  template <WeightType kType>
  void run_panel(const Tiles<kType>& tiles, std::size_t panel, std::size_t begin, std::size_t end,
                 Scratch& scratch) const {
    const std::size_t blocks = w.in / kActivationBlock;
    Walk<kType> walk(tiles, panel, panel + 1, blocks);
    for (std::size_t b = 0; b < blocks; b += kSlice) {
      const std::size_t b_end = std::min(blocks, b + kSlice);
      const std::uint8_t* from = walk.tile();
      for (std::size_t i = b; i < b_end; ++i, walk.next(1))
        unpack(tiles, walk.tile(), walk.j(), i - b, scratch);
      // The next slice is asked for meanwhile, or the start of the next panel.
      const std::size_t slice_tiles = (b_end - b + tiles.tile_blocks() - 1) / tiles.tile_blocks();
      const std::uint8_t* to = from + slice_tiles * tiles.tile_bytes();
      const auto bytes = static_cast<std::size_t>(to - from);
      Lines lines = {to, to + bytes, bytes / 64 / ((end - begin) * (b_end - b)) + 1};
      for (std::size_t g = begin; g < end; ++g) {
        const Int8Rows group = x.group(g);
        const Rows<float> out = y.sub(g * Int8Rows::kGroup, group.rows);
        const Slice slice = {panel, b, b_end, (g - begin) * Int8Rows::kGroup};
        if (group.rows == Int8Rows::kGroup) {
          add_slice<kType, Int8Rows::kGroup, false>(group, slice, out, last, lines, scratch);
          continue;
        }
        for_rows(group.rows, [&]<std::size_t R>() {
          add_slice<kType, R, true>(group, slice, out, last, lines, scratch);
        });
      }
    }
  }
};

}  // namespace

void panel_matmul_amx(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                      std::size_t last) {
  if (x.rows < kFewestRows) return panel_matmul_vnni(w, x, y, first, last);
  for_type(w.type, Matmul{w, x, y, first, last});
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
