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
#include <utility>

#include "kernels/panel_layout.h"
#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,gfni,f16c,fma,amx-tile,amx-int8")
namespace kakeya::kernels {
namespace {

#include "kernels/panel_tiles-inl.h"
// After the tiles.
#include "kernels/amx_tiles-inl.h"
#include "kernels/panel_avx512-inl.h"

#include "kernels/panel_amx_tiles-inl.h"
// After the tiles.
#include "kernels/panel_amx_walk-inl.h"

// Below this number of rows the vector kernels are faster: they read memory faster, and the more bytes a
// weight has the longer that decides.
constexpr std::size_t fewest_rows(WeightType type) {
  return panel_layout(type).block_bytes() > 5 * kPanelVector ? 8 : 7;
}
// Panels whose sums stay near while a phase of each is worked on.
constexpr std::size_t kPanels = 16;
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
  // Of a phase of the only group: codes are done with when their product is, scales when the sums are added,
  // and the next phase is unpacked in between.
  alignas(64) BlockCodes phase_codes[kPhase];
  BlockScales phase_scales[2][kPhase];
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

// Panels [first, end) for the only group of rows: weights are unpacked on the way. Phase by phase, so that
// the activations at work stay in the first-level cache; its misses are left to the weights. Products first,
// then their sums, between which the next phase is unpacked. Lanes of rows beyond x.rows hold what is there.
template <WeightType kType, Fit kFit, std::size_t R>
void add_panels(const Tiles<kType>& tiles, const Int8Rows& x, std::size_t first, std::size_t end,
                Rows<float> y, std::size_t last, Scratch& scratch) {
  constexpr std::size_t kBlockSums = kParts<kType> * kUnitRows<kFit>;
  const std::size_t blocks = x.cols / kActivationBlock;
  Phases<kType> next(tiles, first, end, blocks);  // to be unpacked
  Fetcher<kType> fetcher(next);
  std::size_t own = 0;  // whose scales are this phase's
  BlockAt<kType> from = {next.tile()};
  for (std::size_t i = 0; i < next.count(); ++i, from.next(tiles)) {
    unpack<kType, kFit>(tiles, from.tile, from.j, scratch.phase_codes[i], scratch.phase_scales[own][i]);
  }
  for (std::size_t b = 0; b < blocks; b += kPhase) {
    const std::size_t count = std::min(kPhase, blocks - b);
    const std::int8_t* rows = x.codes + b * x.rows * kActivationBlock;
    std::size_t x_bytes = x.rows * kActivationBlock;
    if constexpr (kFit == Fit::kPaired) {
      pair_rows<kType>(x, b, count, scratch.paired);
      rows = scratch.paired;
      x_bytes = kPairedBytes<kType> / kProductBlocks<kType, kFit>;
    }
    auto* acc_sums = scratch.acc;
    for (std::size_t panel = first; panel < end; ++panel, acc_sums += Int8Rows::kGroup, own ^= 1) {
      next.next();
      fetcher.start_phase();
      multiply_phase<kType, kFit>({rows, x_bytes, scratch.phase_codes, scratch.sums}, count,
                                  [&](std::size_t n) { fetcher.ask(n); });
      __m512 acc[R];
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        acc[r] = b == 0 ? _mm512_setzero_ps() : _mm512_load_ps(acc_sums[r]);
      }
      const Sums* sums = scratch.sums;
      const BlockScales *scales = scratch.phase_scales[own], *scales_end = scales + count;
      const std::size_t unpacked = next.count();
      std::uint8_t* to = scratch.phase_codes[0];
      BlockScales* to_scales = scratch.phase_scales[own ^ 1];
      const BlockScales* to_end = to_scales + unpacked;
      const float* x_scales = x.scales + b * x.rows;
      const float* x_sums = x.scaled_sums + b * x.rows;
      from = {next.tile()};
      for (; scales != scales_end; ++scales, sums += kBlockSums, x_scales += x.rows, x_sums += x.rows) {
        fetcher.ask(1);
        if (to_scales != to_end) {
          unpack<kType, kFit>(tiles, from.tile, from.j, to, *to_scales);
          from.next(tiles);
          to += kBlockCodes;
          ++to_scales;
        }
        add_block<kType, kFit, R>(sums, *scales, x_scales, x_sums, acc);
      }
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < R; ++r) _mm512_store_ps(acc_sums[r], acc[r]);
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
  constexpr std::size_t kBlockSums = kParts<kType> * kUnitRows<kFit>;
  __m512 acc[R];
  auto* acc_sums = scratch.acc + slice.acc_row;
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    acc[r] = slice.first == 0 ? _mm512_setzero_ps() : _mm512_load_ps(acc_sums[r]);
  }
  const std::size_t x_bytes = x.rows * kActivationBlock;
  for (std::size_t i = slice.first; i < slice.last; i += kPhase) {
    const std::size_t at = i - slice.first, count = std::min(kPhase, slice.last - i);
    multiply_phase<kType, kFit>({x.codes + i * x_bytes, x_bytes, scratch.codes + at, scratch.sums}, count,
                                [&](std::size_t) { lines.ask(); });
    const Sums* sums = scratch.sums;
    const BlockScales *scales = scratch.scales + at, *scales_end = scales + count;
    const float *x_scales = x.scales + i * x.rows, *x_sums = x.scaled_sums + i * x.rows;
    for (; scales != scales_end; ++scales, sums += kBlockSums, x_scales += x.rows, x_sums += x.rows) {
      add_block<kType, kFit, R>(sums, *scales, x_scales, x_sums, acc);
    }
  }
  if (slice.last * kActivationBlock == x.cols) return store_rows(acc, slice.panel * kPanelOutputs, last, y);
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) _mm512_store_ps(acc_sums[r], acc[r]);
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
      const TileRegisters registers(panel_tiles_config(2 * kPairRows, 2 * kPairRows, 2 * kInputs));
      std::memset(scratch.paired, 0, sizeof scratch.paired);
      for (std::size_t panel = begin; panel < end; panel += kPanels) {
        const std::size_t panel_end = std::min(end, panel + kPanels);
        add_panels<kType, Fit::kPaired, kPairRows>(tiles, x, panel, panel_end, y, last, scratch);
      }
      return;
    }
    const std::size_t group_rows = groups == 1 ? last_rows : Int8Rows::kGroup;
    const TileRegisters registers(panel_tiles_config(group_rows, last_rows, kInputs));
    if (groups == 1) {
      for (std::size_t panel = begin; panel < end; panel += kPanels) {
        const std::size_t panel_end = std::min(end, panel + kPanels);
        for_rows(x.rows, [&]<std::size_t R>() {
          add_panels<kType, Fit::kGroup, R>(tiles, x, panel, panel_end, y, last, scratch);
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
    BlockAt<kType> block = {tiles.tile(panel, 0)};
    for (std::size_t b = 0; b < blocks; b += kSlice) {
      const std::size_t b_end = std::min(blocks, b + kSlice);
      const std::uint8_t* from = block.tile;
      for (std::size_t i = b; i < b_end; ++i, block.next(tiles)) {
        unpack<kType, Fit::kGroup>(tiles, block.tile, block.j, scratch.codes[i - b], scratch.scales[i - b]);
      }
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
