// Products of bf16 weights with AMX tiles, and rows of activations for them.
#include "kernels/panel_ops.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <algorithm>

#include "kernels/panel_targets.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,fma,amx-tile,amx-bf16")
namespace kakeya::kernels {
namespace {

#include "kernels/amx_tiles-inl.h"

#include "kernels/split_amx_tiles-inl.h"
// After the tiles.
#include "kernels/split_amx_blocked-inl.h"
#include "kernels/split_amx_rows-inl.h"

// Few rows: weights straight from where they are, kTiles tiles of them at a time for kGroups groups of rows.
struct Direct {
  const std::byte* weights;
  std::size_t row_bytes;
  const SplitRows& x;
  Rows<float> y;

  // What comes 512 bytes later is asked for: rows are too short for the processor to do it in time. With rows
  // a whole number of pages apart, lines of all rows share few places in the first-level cache; there only
  // the start of a page is, which the processor does not foresee. Few rows leave enough of it.
  static constexpr std::size_t kAhead = 512;

  KAKEYA_INLINE void ask(const std::byte* at, std::size_t outputs, bool always) const {
    if (!always && reinterpret_cast<std::uintptr_t>(at) % kPage >= kAhead) return;
    for (std::size_t o = 0; o < outputs; ++o) {
      _mm_prefetch(reinterpret_cast<const char*>(at + o * row_bytes), _MM_HINT_T0);
    }
  }

  template <int kTiles, int kGroups>
  void operator()(std::size_t first, std::size_t last) const {
    constexpr std::size_t kStride = kTiles * kOutputs;
    const std::size_t width_bytes = 4 * x.width(), part = kStep / 2 * width_bytes;
    const bool always = row_bytes % kPage != 0 || x.rows <= 4;
    alignas(64) TileSums sums[kGroups][kTiles];
    for (std::size_t output = first; output < last; output += kStride) {
      const std::byte* w = weights + output * row_bytes;
      const auto* rows = reinterpret_cast<const std::byte*>(x.group(0));
      const auto* second = reinterpret_cast<const std::byte*>(x.group(kGroups - 1));
      tile_clear<kSums>();
      if constexpr (kTiles == 2) tile_clear<kSums + 1>();
      if constexpr (kGroups == 2) tile_clear<kSums + 2>();
      if constexpr (kTiles == 2 && kGroups == 2) tile_clear<kSums + 3>();
      for (std::size_t at = 0; at < row_bytes; at += kStepBytes, w += kStepBytes) {
        ask(w + kAhead + (at + kAhead < row_bytes ? 0 : (kStride - 1) * row_bytes), kStride, always);
        tile_load<kWeights>(w, row_bytes);
        if constexpr (kTiles == 2) tile_load<kWeights + 1>(w + kOutputs * row_bytes, row_bytes);
        for (std::size_t i = 0; i < kParts; ++i, rows += part, second += part) {
          tile_load<kRows>(rows, width_bytes);
          if constexpr (kGroups == 2) ask_rows(rows + 2 * part);
          add_products<kSums, kWeights, kRows>();
          if constexpr (kTiles == 2) add_products<kSums + 1, kWeights + 1, kRows>();
          if constexpr (kGroups == 2) {
            tile_load<kRows + 1>(second, width_bytes);
            ask_rows(second + 2 * part);
            add_products<kSums + 2, kWeights, kRows + 1>();
            if constexpr (kTiles == 2) add_products<kSums + 3, kWeights + 1, kRows + 1>();
          }
        }
      }
      tile_store<kSums>(sums[0][0]);
      if constexpr (kTiles == 2) tile_store<kSums + 1>(sums[0][1]);
      if constexpr (kGroups == 2) tile_store<kSums + 2>(sums[1][0]);
      if constexpr (kTiles == 2 && kGroups == 2) tile_store<kSums + 3>(sums[1][1]);
      for (std::size_t g = 0; g < kGroups; ++g) {
        const Rows<float> out = y.sub(g * kGroup, std::min(kGroup, y.rows - g * kGroup));
        for (std::size_t t = 0; t < kTiles; ++t) write_sums(sums[g][t], output + t * kOutputs, last, out);
      }
    }
  }

  template <int kTiles>
  void run(std::size_t first, std::size_t last) const {
    if (first == last) return;
    const TileRegisters registers(split_tiles_config(std::min(kOutputs, last - first), x.width()));
    if (x.rows > kGroup) return operator()<kTiles, 2>(first, last);
    operator()<kTiles, 1>(first, last);
  }
};

void multiply_directly(const Weight& w, const SplitRows& x, Rows<float> y, std::size_t first,
                       std::size_t last) {
  const Direct direct = {static_cast<const std::byte*>(w.data), w.in * sizeof(std::uint16_t), x, y};
  const std::size_t n = last - first;
  const std::size_t pairs = x.rows >= kPairRows ? first + n / (2 * kOutputs) * (2 * kOutputs) : first;
  const std::size_t whole = first + n / kOutputs * kOutputs;
  direct.run<2>(first, pairs);
  direct.run<1>(pairs, whole);
  direct.run<1>(whole, last);
}

}  // namespace

void split_rows_amx(Rows<const float> x, const SplitRows& out, std::size_t row, std::size_t column) {
  for (std::size_t r = 0; r < x.rows;) {
    const std::size_t place = (row + r) % kGroup, n = std::min(x.rows - r, kGroup - place);
    std::uint16_t* to = out.group((row + r) / kGroup) + column * kParts * out.width() + 2 * place;
    split_group(x.sub(r, n), to, out.width());
    r += n;
  }
}

void split_matmul_amx(const Weight& w, const SplitRows& x, Rows<float> y, std::size_t first,
                      std::size_t last) {
  if (x.groups() <= 2) return multiply_directly(w, x, y, first, last);
  const TileRegisters registers(split_tiles_config(kOutputs, kGroup));
  Blocked(w, x, y, last).run(first);
}

}  // namespace kakeya::kernels
KAKEYA_END_TARGET
#endif
