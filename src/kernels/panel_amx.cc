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

#include "kernels/panel_x86-inl.h"

// Below this number of rows the vector kernels are faster.
constexpr std::size_t kFewestRows = 4;
// Blocks of a panel that are unpacked once for all groups of rows, in the first-level cache.
constexpr std::size_t kSlice = 32;
// Rows whose slice stays in the second-level cache.
constexpr std::size_t kRowRun = 1024;
// How far ahead of use weights are asked for when they are read once and in order.
constexpr std::size_t kAhead = 4096;
// Tile products under way: the sums of block b are read when those of block b + kLag have been started.
constexpr std::size_t kLag = 2, kRing = 4;
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
  alignas(64) std::int32_t sums[kRing][2][Int8Rows::kGroup][kPanelOutputs];
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
KAKEYA_INLINE void multiply(const std::int8_t* x, const std::uint8_t* codes,
                            std::int32_t (*sums)[Int8Rows::kGroup][kPanelOutputs]) {
  constexpr int kSumsTile = kLast ? kLastSums : kSums, kRowsTile = kLast ? kLastRows : kRows;
  KAKEYA_UNROLL
  for (std::size_t part = 0; part < kParts<kType>; ++part) {
    tile_load<kCodes>(codes + part * 4 * kPanelVector, kPanelVector);
    tile_load<kRowsTile>(x + part * 16, kActivationBlock);
    tile_product<kSumsTile, kRowsTile, kSigned<kType>>();
    tile_store<kSumsTile>(sums[part]);
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
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(scratch.sums[ring][part][r]));
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

// Lines of the panel after next to ask for while a group of rows is at work.
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

// Blocks [first, last) of a panel.
struct Step {
  std::size_t panel, first, last;
};

// One group of up to R rows through a slice; y is that group's. kFused: weights are unpacked on the way,
// otherwise they lie in scratch. Lanes of rows beyond x.rows hold what is there and are not stored.
template <WeightType kType, std::size_t R, bool kLast, bool kFused>
void add_rows(const Tiles<kType>& tiles, const Int8Rows& x, const Step& step, Rows<float> y, std::size_t last,
              Lines& lines, Scratch& scratch) {
  const std::size_t output = step.panel * kPanelOutputs;
  const __mmask16 mask = output_mask(output, last);
  float* out = y.data + output;
  __m512 acc[R];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    acc[r] = step.first == 0 || r >= x.rows ? _mm512_setzero_ps()
                                            : _mm512_maskz_loadu_ps(mask, out + r * y.stride);
  }
  const std::size_t blocks = step.last - step.first;
  const std::int8_t* codes = x.codes + step.first * x.rows * kActivationBlock;
  const std::uint8_t* tile = tiles.tile(step.panel, step.first);
  for (std::size_t b = 0, j = 0; b < blocks; ++b, codes += x.rows * kActivationBlock) {
    const std::size_t slot = kFused ? b % kRing : b;
    if constexpr (kFused) {
      if (j == 0) prefetch_lines(tile, tiles.tile_bytes(), kAhead);
      unpack(tiles, tile, j, slot, scratch);
      if (++j == tiles.tile_blocks()) {
        j = 0;
        tile += tiles.tile_bytes();
      }
    } else {
      lines.ask();
    }
    multiply<kType, kLast>(codes, scratch.codes[slot], scratch.sums[b % kRing]);
    if (b < kLag) continue;
    const std::size_t done = b - kLag;
    add_block<kType, R>(scratch, kFused ? done % kRing : done, done % kRing, x, (step.first + done) * x.rows,
                        acc);
  }
  for (std::size_t done = blocks < kLag ? 0 : blocks - kLag; done < blocks; ++done) {
    add_block<kType, R>(scratch, kFused ? done % kRing : done, done % kRing, x, (step.first + done) * x.rows,
                        acc);
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    if (r < x.rows) _mm512_mask_storeu_ps(out + r * y.stride, mask, acc[r]);
  }
}

template <WeightType kType, bool kLast, bool kFused>
void add_group(const Tiles<kType>& tiles, const Int8Rows& x, const Step& step, Rows<float> y,
               std::size_t last, Lines& lines, Scratch& scratch) {
  if (x.rows <= 4) return add_rows<kType, 4, kLast, kFused>(tiles, x, step, y, last, lines, scratch);
  if (x.rows <= 8) return add_rows<kType, 8, kLast, kFused>(tiles, x, step, y, last, lines, scratch);
  if (x.rows <= 12) return add_rows<kType, 12, kLast, kFused>(tiles, x, step, y, last, lines, scratch);
  add_rows<kType, 16, kLast, kFused>(tiles, x, step, y, last, lines, scratch);
}

struct Matmul {
  const Weight& w;
  const Int8Rows& x;
  Rows<float> y;
  std::size_t first, last;

  template <WeightType kType>
  void operator()() const {
    const std::size_t blocks = w.in / kActivationBlock, groups = x.groups();
    const std::size_t last_rows = x.rows - (groups - 1) * Int8Rows::kGroup;
    const TileRegisters registers(Int8Rows::kGroup, last_rows, kParts<kType>);
    const Tiles<kType> tiles(w);
    Scratch scratch;
    Lines lines;
    if (groups == 1) {
      for (std::size_t panel = first / kPanelOutputs; panel * kPanelOutputs < last; ++panel) {
        add_group<kType, true, true>(tiles, x, {panel, 0, blocks}, y, last, lines, scratch);
      }
      return;
    }
    for (std::size_t row = 0; row < x.rows; row += kRowRun) {
      for (std::size_t b = 0; b < blocks; b += kSlice) {
        for (std::size_t panel = first / kPanelOutputs; panel * kPanelOutputs < last; ++panel) {
          run_slice(tiles, {panel, b, std::min(blocks, b + kSlice)}, row, scratch);
        }
      }
    }
  }

  // A slice unpacked once for the rows of a run; the next panel's slice is asked for meanwhile.
  template <WeightType kType>
  void run_slice(const Tiles<kType>& tiles, const Step& step, std::size_t row, Scratch& scratch) const {
    const std::uint8_t* tile = tiles.tile(step.panel, step.first);
    const std::uint8_t* from = tile;
    for (std::size_t b = step.first, j = 0; b < step.last; ++b) {
      unpack(tiles, tile, j, b - step.first, scratch);
      if (++j == tiles.tile_blocks()) {
        j = 0;
        tile += tiles.tile_bytes();
      }
    }
    const std::size_t begin = row / Int8Rows::kGroup;
    const std::size_t end = std::min(x.groups(), begin + kRowRun / Int8Rows::kGroup);
    Lines lines = {from + tiles.panel_bytes, tile + tiles.panel_bytes, 0};
    lines.per_block =
        static_cast<std::size_t>(tile - from) / 64 / ((end - begin) * (step.last - step.first)) + 1;
    for (std::size_t g = begin; g < end; ++g) {
      const Int8Rows group = x.group(g);
      const Rows<float> out = y.sub(g * Int8Rows::kGroup, group.rows);
      if (group.rows == Int8Rows::kGroup) {
        add_rows<kType, Int8Rows::kGroup, false, false>(tiles, group, step, out, last, lines, scratch);
      } else {
        add_group<kType, true, false>(tiles, group, step, out, last, lines, scratch);
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
