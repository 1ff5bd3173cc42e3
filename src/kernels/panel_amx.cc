// Products of panels with AMX tiles, 16 rows at a time. A block of 32 inputs is one tile product (Q6_K: two),
// or half of one with eight rows; its integer sums go through memory to the vector registers that hold the 16
// x 16 sums in float.
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

#include "kernels/panel_amx_tiles-inl.h"
// After the tiles.
#include "kernels/panel_amx_walk-inl.h"

// Below this number of rows the vector kernels are faster. Q6_K has twice the sums.
constexpr std::size_t fewest_rows(WeightType type) { return type == WeightType::kQ6K ? 7 : 6; }
// Panels whose sums stay near while a phase of each is worked on.
constexpr std::size_t kPanels = 32;
// With several groups of rows: blocks of a panel that are unpacked once for all of them.
constexpr std::size_t kSlice = 16;
// Codes of a run of rows, which stay in the second-level cache while panels go by, and the most rows of a
// run.
constexpr std::size_t kRunCodes = std::size_t{1} << 20;
constexpr std::size_t kRunRows = 512;

struct Scratch {
  // Of a slice of several groups' weights.
  alignas(64) BlockCodes codes[kSlice];
  BlockScales scales[kSlice];
  // Of a phase.
  alignas(64) Sums sums[kPhase * 2 * Int8Rows::kGroup];
  alignas(64) std::int8_t paired[kPhase * 2 * kPairRows * kActivationBlock];
  alignas(64) float acc[kRunRows][kPanelOutputs];  // between slices
};

template <std::size_t R>
KAKEYA_INLINE void store_rows(const __m512 (&acc)[R], std::size_t output, std::size_t last, Rows<float> y) {
  const __mmask16 mask = output_mask(output, last);
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    if (r < y.rows) _mm512_mask_storeu_ps(y.data + r * y.stride + output, mask, acc[r]);
  }
}

// A phase: blocks [first, first + count) of the rows x, products first, then their sums to acc. `find` says
// where codes, scales and activations of block first + i are. Lanes of rows beyond x.rows hold what is there.
template <WeightType kType, Fit kFit, std::size_t R, class Find>
KAKEYA_INLINE void add_phase(const Int8Rows& x, std::size_t first, std::size_t count, Find find, Sums* sums,
                             __m512 (&acc)[R]) {
  constexpr std::size_t kStep = kProductBlocks<kType, kFit>, kBlockSums = kParts<kType> * kUnitRows<kFit>;
  for (std::size_t i = 0; i < count; i += kStep) {
    find.before_product();
    multiply<kType, kFit>(find.rows(i), find.codes(i), sums + i * kBlockSums);
  }
  for (std::size_t i = 0; i < count; ++i) {
    find.before_sums();
    add_block<kType, kFit, R>(sums + i * kBlockSums, find.scales(i), x, (first + i) * x.rows, acc);
  }
}

// Panels [first, end) for the only group of rows: weights are unpacked on the way. Phase by phase, so that
// the activations at work stay in the first-level cache; its misses are left to the weights.
template <WeightType kType, Fit kFit, std::size_t R>
void add_panels(const Tiles<kType>& tiles, const Int8Rows& x, std::size_t first, std::size_t end,
                Rows<float> y, std::size_t last, Scratch& scratch) {
  const std::size_t blocks = x.cols / kActivationBlock;
  Unpacker<kType> unpacker(tiles, first, end, blocks);
  std::size_t done = 0;  // blocks of phases before the one at hand
  struct Find {
    Unpacker<kType>& unpacker;
    const std::int8_t* x;
    std::size_t x_bytes, done;
    KAKEYA_INLINE void before_product() { unpacker.ask(kProductBlocks<kType, kFit>); }
    KAKEYA_INLINE void before_sums() {
      unpacker.ask(1);
      unpacker.next();
    }
    KAKEYA_INLINE const std::int8_t* rows(std::size_t i) const { return x + i * x_bytes; }
    KAKEYA_INLINE const std::uint8_t* codes(std::size_t i) const { return unpacker.codes(done + i); }
    KAKEYA_INLINE const BlockScales& scales(std::size_t i) const { return unpacker.scales(done + i); }
  };
  for (std::size_t b = 0; b < blocks; b += kPhase) {
    const std::size_t count = std::min(kPhase, blocks - b);
    const std::int8_t* rows = x.codes + b * x.rows * kActivationBlock;
    std::size_t x_bytes = x.rows * kActivationBlock;
    if constexpr (kFit == Fit::kPaired) {
      pair_rows<kType>(x, b, count, scratch.paired);
      rows = scratch.paired;
      x_bytes = kPairedBytes<kType> / kProductBlocks<kType, kFit>;
    }
    for (std::size_t panel = first; panel < end; ++panel, done += count) {
      auto* sums = scratch.acc + (panel - first) * Int8Rows::kGroup;
      __m512 acc[R];
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) acc[r] = b == 0 ? _mm512_setzero_ps() : _mm512_load_ps(sums[r]);
      add_phase<kType, kFit, R>(x, b, count, Find{unpacker, rows, x_bytes, done}, scratch.sums, acc);
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
template <WeightType kType, Fit kFit, std::size_t R>
void add_slice(const Int8Rows& x, const Slice& slice, Rows<float> y, std::size_t last, Lines& lines,
               Scratch& scratch) {
  struct Find {
    Lines& lines;
    const std::int8_t* x;
    std::size_t x_bytes;
    const BlockCodes* block_codes;
    const BlockScales* block_scales;
    KAKEYA_INLINE void before_product() { lines.ask(); }
    KAKEYA_INLINE void before_sums() {}
    KAKEYA_INLINE const std::int8_t* rows(std::size_t i) const { return x + i * x_bytes; }
    KAKEYA_INLINE const std::uint8_t* codes(std::size_t i) const { return block_codes[i]; }
    KAKEYA_INLINE const BlockScales& scales(std::size_t i) const { return block_scales[i]; }
  };
  __m512 acc[R];
  auto* sums = scratch.acc + slice.acc_row;
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    acc[r] = slice.first == 0 ? _mm512_setzero_ps() : _mm512_load_ps(sums[r]);
  }
  const std::size_t x_bytes = x.rows * kActivationBlock;
  for (std::size_t i = slice.first; i < slice.last; i += kPhase) {
    const std::size_t at = i - slice.first;
    const Find find = {lines, x.codes + i * x_bytes, x_bytes, scratch.codes + at, scratch.scales + at};
    add_phase<kType, kFit, R>(x, i, std::min(kPhase, slice.last - i), find, scratch.sums, acc);
  }
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
    constexpr std::size_t kInputs = kActivationBlock / kParts<kType>;  // of a unit
    const Tiles<kType> tiles(w);
    Scratch scratch;
    const std::size_t begin = first / kPanelOutputs, end = (last + kPanelOutputs - 1) / kPanelOutputs;
    const bool even = x.cols / kActivationBlock % kProductBlocks<kType, Fit::kPaired> == 0;
    if (groups == 1 && x.rows <= kPairRows && even) {
      const TileRegisters registers(2 * kPairRows, 2 * kPairRows, 2 * kInputs);
      std::memset(scratch.paired, 0, sizeof scratch.paired);
      for (std::size_t panel = begin; panel < end; panel += kPanels) {
        const std::size_t panel_end = std::min(end, panel + kPanels);
        add_panels<kType, Fit::kPaired, kPairRows>(tiles, x, panel, panel_end, y, last, scratch);
      }
      return;
    }
    const TileRegisters registers(Int8Rows::kGroup, last_rows, kInputs);
    if (groups == 1) {
      for (std::size_t panel = begin; panel < end; panel += kPanels) {
        const std::size_t panel_end = std::min(end, panel + kPanels);
        for_rows(x.rows, [&]<std::size_t R>() {
          add_panels<kType, Fit::kLast, R>(tiles, x, panel, panel_end, y, last, scratch);
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
        unpack(tiles, walk.tile(), walk.j(), scratch.codes[i - b], scratch.scales[i - b]);
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
          add_slice<kType, Fit::kGroup, Int8Rows::kGroup>(group, slice, out, last, lines, scratch);
          continue;
        }
        for_rows(group.rows, [&]<std::size_t R>() {
          add_slice<kType, Fit::kLast, R>(group, slice, out, last, lines, scratch);
        });
      }
    }
  }
};

}  // namespace

void panel_matmul_amx(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                      std::size_t last) {
  if (x.rows < fewest_rows(w.type)) return panel_matmul_vnni(w, x, y, first, last);
  for_type(w.type, Matmul{w, x, y, first, last});
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
