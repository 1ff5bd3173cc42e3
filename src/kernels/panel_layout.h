// Bytes of a panel, for the kernels that read and write panels. docs/formats/panels.md has the pictures.
//
// A panel is a run of tiles, a tile a header with the scales of its 16 outputs and then its blocks of 32
// inputs. Input i of a block belongs to k-group i / 4; a k-group of all outputs is a vector of 64 codes,
// output o's four at 4 * o.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "kernels/panels.h"

namespace kakeya::kernels {

inline constexpr std::size_t kPanelVector = 64;  // codes of one k-group
inline constexpr std::size_t kBlockGroups = 8;   // k-groups of a block

struct PanelLayout {
  std::size_t tile_blocks = 0;
  std::size_t header_bytes = 0;
  // 256: low four bits, k-group 2 v in the low nibbles of vector v and 2 v + 1 in the high ones. 512: bytes.
  std::size_t low_bytes = 0;
  // Bits above the low four. 64: bit g of a byte is the fifth bit of k-group g. 128: bits 2 g of vector v are
  // the fifth and sixth of k-group 4 v + g.
  std::size_t high_bytes = 0;
  int zero = 0;  // w = scale * (code - zero) + min

  constexpr std::size_t block_bytes() const { return low_bytes + high_bytes; }
  constexpr std::size_t tile_bytes() const { return header_bytes + tile_blocks * block_bytes(); }
};

// Offsets in the header of Q4_K and Q5_K: f16 d[16], f16 dmin[16], then byte j of ggml's 12 scale bytes of
// all outputs. Q6_K: int8 scales of sub-block s of all outputs at 16 * s, then f16 d[16], then padding. Q4_0
// and Q8_0: f16 d[16] of the first block, then of the second. Affine: scales[16], biases[16].
inline constexpr std::size_t kKScaleBytes = 64;
inline constexpr std::size_t kQ6KScale = 256;

constexpr PanelLayout panel_layout(WeightType type, std::size_t group = 64, bool wide_scales = false) {
  const std::size_t affine_header = wide_scales ? 128 : 64;
  switch (type) {
    case WeightType::kQ4_0:
      return {2, 64, 256, 0, 8};
    case WeightType::kQ8_0:
      return {2, 64, 512, 0, 128};
    case WeightType::kQ4K:
      return {8, 256, 256, 0, 0};
    case WeightType::kQ5K:
      return {8, 256, 256, 64, 0};
    case WeightType::kQ6K:
      return {8, 320, 256, 128, 32};
    case WeightType::kAffine4:
      return {group / kActivationBlock, affine_header, 256, 0, 0};
    case WeightType::kAffine8:
      return {group / kActivationBlock, affine_header, 512, 0, 0};
    default:
      return {};
  }
}

inline PanelLayout panel_layout(const Weight& w) {
  KAKEYA_CHECK(is_quantised(w.type) && w.layout == WeightLayout::kPanels);
  return panel_layout(w.type, w.group, w.scale_type == WeightType::kF32);
}

constexpr std::size_t panel_tiles(const PanelLayout& layout, std::size_t in) {
  return (in / kActivationBlock + layout.tile_blocks - 1) / layout.tile_blocks;
}

// One output's part of a block.
struct OutputBlock {
  std::uint8_t codes[kActivationBlock];
  float scale[2];  // of the first and the last 16 inputs; differ for Q6_K alone
  float min = 0;
};
// Block `j` of the tile for output `o` of its panel.
void read_output_block(const Weight& w, const PanelLayout& layout, const std::uint8_t* tile, std::size_t j,
                       std::size_t o, OutputBlock& out);

}  // namespace kakeya::kernels
