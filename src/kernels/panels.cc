// Files' rows to panels, and panels back to single rows. Plain C++; done once per load and once per token.
#include "kernels/panels.h"

#include <cstring>

#include "base/check.h"
#include "base/half.h"
#include "kernels/block_scales.h"
#include "kernels/blocks.h"
#include "kernels/panel_layout.h"

namespace kakeya::kernels {
namespace {

using base::f16_to_f32;

bool is_affine(WeightType type) { return type == WeightType::kAffine4 || type == WeightType::kAffine8; }

std::size_t round_up(std::size_t n, std::size_t step) { return (n + step - 1) / step * step; }

// Inputs of the unit that the source keeps together: a ggml block, or 32 codes of an affine row.
std::size_t source_values(WeightType type) { return is_affine(type) ? kActivationBlock : block_values(type); }
std::size_t source_bytes(WeightType type) {
  return type == WeightType::kAffine4   ? kActivationBlock / 2
         : type == WeightType::kAffine8 ? kActivationBlock
                                        : block_bytes(type);
}

// Block `block` of 32 inputs of a row as unsigned codes. `unit` is the source unit that holds it.
void source_codes(WeightType type, const std::byte* unit, std::size_t block, std::uint8_t* codes) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(unit);
  const std::size_t sub = block % 8;
  switch (type) {
    case WeightType::kQ8_0:
      for (std::size_t i = 0; i < 32; ++i) codes[i] = static_cast<std::uint8_t>(bytes[2 + i] ^ 0x80);
      return;
    case WeightType::kQ4_0:
      for (std::size_t i = 0; i < 16; ++i) {
        codes[i] = bytes[2 + i] & 15;
        codes[i + 16] = bytes[2 + i] >> 4;
      }
      return;
    case WeightType::kQ4K: {
      const std::uint8_t* q = bytes + offsetof(BlockQ4K, qs) + sub / 2 * 32;
      for (std::size_t i = 0; i < 32; ++i) codes[i] = q[i] >> (sub % 2 * 4) & 15;
      return;
    }
    case WeightType::kQ5K: {
      const std::uint8_t* q = bytes + offsetof(BlockQ5K, qs) + sub / 2 * 32;
      const std::uint8_t* high = bytes + offsetof(BlockQ5K, qh);
      for (std::size_t i = 0; i < 32; ++i) {
        codes[i] = static_cast<std::uint8_t>((q[i] >> (sub % 2 * 4) & 15) | (high[i] >> sub & 1) << 4);
      }
      return;
    }
    case WeightType::kQ6K: {
      const std::uint8_t* low = bytes + offsetof(BlockQ6K, ql) + sub / 4 * 64 + sub % 2 * 32;
      const std::uint8_t* high = bytes + offsetof(BlockQ6K, qh) + sub / 4 * 32;
      for (std::size_t i = 0; i < 32; ++i) {
        codes[i] = static_cast<std::uint8_t>((low[i] >> (sub % 4 / 2 * 4) & 15) |
                                             (high[i] >> (sub % 4 * 2) & 3) << 4);
      }
      return;
    }
    case WeightType::kAffine4:
      for (std::size_t i = 0; i < 32; ++i) codes[i] = bytes[i / 2] >> (i % 2 * 4) & 15;
      return;
    case WeightType::kAffine8:
      std::memcpy(codes, bytes, 32);
      return;
    default:
      KAKEYA_CHECK(is_quantised(type));
  }
}

std::uint32_t load_word(const std::uint8_t* p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}
void or_word(std::uint8_t* p, std::uint32_t bits) {
  const std::uint32_t word = load_word(p) | bits;
  std::memcpy(p, &word, sizeof word);
}

// Adds the codes of output `o` to a zeroed block.
void place_codes(const PanelLayout& layout, const std::uint8_t* codes, std::size_t o, std::uint8_t* block) {
  for (std::size_t g = 0; g < kBlockGroups; ++g) {
    const std::uint32_t word = load_word(codes + 4 * g);
    if (layout.low_bytes == 512) {
      or_word(block + g * kPanelVector + 4 * o, word);
      continue;
    }
    or_word(block + g / 2 * kPanelVector + 4 * o, (word & 0x0f0f0f0fu) << (g % 2 * 4));
    std::uint8_t* high = block + layout.low_bytes;
    if (layout.high_bytes == 64) or_word(high + 4 * o, (word >> 4 & 0x01010101u) << g);
    if (layout.high_bytes == 128) {
      or_word(high + g / 4 * kPanelVector + 4 * o, (word >> 4 & 0x03030303u) << (g % 4 * 2));
    }
  }
}

// The scales of output `o` from the source unit that begins the tile; `j`: block of the tile.
void place_scales(const QuantisedRows& rows, std::size_t row, std::size_t block, const std::byte* unit,
                  std::size_t o, std::uint8_t* header) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(unit);
  switch (rows.type) {
    case WeightType::kQ8_0:
    case WeightType::kQ4_0:
      std::memcpy(header + block % 2 * 32 + 2 * o, bytes, 2);
      return;
    case WeightType::kQ4K:
    case WeightType::kQ5K:
      if (block % 8 != 0) return;
      std::memcpy(header + 2 * o, bytes, 2);
      std::memcpy(header + 32 + 2 * o, bytes + 2, 2);
      for (std::size_t i = 0; i < 12; ++i) header[kKScaleBytes + 16 * i + o] = bytes[4 + i];
      return;
    case WeightType::kQ6K:
      if (block % 8 != 0) return;
      for (std::size_t i = 0; i < 16; ++i) header[16 * i + o] = bytes[offsetof(BlockQ6K, scales) + i];
      std::memcpy(header + kQ6KScale + 2 * o, bytes + offsetof(BlockQ6K, d), 2);
      return;
    default: {
      if (block * kActivationBlock % rows.group != 0) return;
      const std::size_t size = rows.scale_type == WeightType::kF32 ? 4 : 2;
      const std::size_t at = row * (rows.in / rows.group) + block * kActivationBlock / rows.group;
      std::memcpy(header + size * o, static_cast<const std::byte*>(rows.scales) + size * at, size);
      std::memcpy(header + size * (16 + o), static_cast<const std::byte*>(rows.biases) + size * at, size);
    }
  }
}

void pack_panel(const QuantisedRows& rows, std::span<const std::uint32_t> source_row,
                const PanelLayout& layout, std::size_t panel, std::uint8_t* out) {
  const std::size_t blocks = rows.in / kActivationBlock;
  const std::size_t bytes = panel_tiles(layout, rows.in) * layout.tile_bytes();
  const std::size_t values = source_values(rows.type), unit_bytes = source_bytes(rows.type);
  std::memset(out, 0, bytes);
  for (std::size_t o = 0; o < kPanelOutputs && panel * kPanelOutputs + o < rows.out; ++o) {
    const std::size_t output = panel * kPanelOutputs + o;
    const std::size_t row = source_row.empty() ? output : source_row[output];
    const std::byte* source =
        static_cast<const std::byte*>(rows.data) + row * (rows.in / values) * unit_bytes;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::byte* unit = source + b * kActivationBlock / values * unit_bytes;
      std::uint8_t* tile = out + b / layout.tile_blocks * layout.tile_bytes();
      std::uint8_t codes[kActivationBlock];
      source_codes(rows.type, unit, b, codes);
      place_scales(rows, row, b, unit, o, tile);
      place_codes(layout, codes, o,
                  tile + layout.header_bytes + b % layout.tile_blocks * layout.block_bytes());
    }
  }
}

float read_f16(const std::uint8_t* p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof bits);
  return f16_to_f32(bits);
}

float read_scale(WeightType type, const std::uint8_t* p, std::size_t index) {
  if (type == WeightType::kF32) {
    float value = 0;
    std::memcpy(&value, p + 4 * index, sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, p + 2 * index, sizeof bits);
  return type == WeightType::kF16 ? f16_to_f32(bits) : base::bf16_to_f32(bits);
}

void read_scales(const Weight& w, const std::uint8_t* tile, std::size_t j, std::size_t o, OutputBlock& out) {
  switch (w.type) {
    case WeightType::kQ8_0:
    case WeightType::kQ4_0:
      out.scale[0] = read_f16(tile + 32 * j + 2 * o);
      break;
    case WeightType::kQ4K:
    case WeightType::kQ5K: {
      std::uint8_t scales[12];
      for (std::size_t i = 0; i < 12; ++i) scales[i] = tile[kKScaleBytes + 16 * i + o];
      const SubScale sub = sub_scale(scales, j);
      out.scale[0] = read_f16(tile + 2 * o) * static_cast<float>(sub.scale);
      out.min = -(read_f16(tile + 32 + 2 * o) * static_cast<float>(sub.min));
      break;
    }
    case WeightType::kQ6K: {
      const float d = read_f16(tile + kQ6KScale + 2 * o);
      out.scale[0] = d * static_cast<float>(static_cast<std::int8_t>(tile[32 * j + o]));
      out.scale[1] = d * static_cast<float>(static_cast<std::int8_t>(tile[32 * j + 16 + o]));
      return;
    }
    default:
      out.scale[0] = read_scale(w.scale_type, tile, o);
      out.min = read_scale(w.scale_type, tile, kPanelOutputs + o);
  }
  out.scale[1] = out.scale[0];
}

}  // namespace

void read_output_block(const Weight& w, const PanelLayout& layout, const std::uint8_t* tile, std::size_t j,
                       std::size_t o, OutputBlock& out) {
  const std::uint8_t* block = tile + layout.header_bytes + j * layout.block_bytes();
  const std::uint8_t* high = block + layout.low_bytes;
  for (std::size_t g = 0; g < kBlockGroups; ++g) {
    std::uint32_t word = 0;
    if (layout.low_bytes == 512) {
      word = load_word(block + g * kPanelVector + 4 * o);
    } else {
      word = load_word(block + g / 2 * kPanelVector + 4 * o) >> (g % 2 * 4) & 0x0f0f0f0fu;
    }
    if (layout.high_bytes == 64) word |= (load_word(high + 4 * o) >> g & 0x01010101u) << 4;
    if (layout.high_bytes == 128) {
      word |= (load_word(high + g / 4 * kPanelVector + 4 * o) >> (g % 4 * 2) & 0x03030303u) << 4;
    }
    std::memcpy(out.codes + 4 * g, &word, sizeof word);
  }
  read_scales(w, tile, j, o, out);
}

bool has_panels(WeightType type, std::size_t in, std::size_t group) {
  if (!is_quantised(type) || in == 0 || in % source_values(type) != 0) return false;
  return !is_affine(type) || ((group == 32 || group == 64 || group == 128) && in % group == 0);
}

std::size_t panel_bytes(WeightType type, std::size_t out, std::size_t in, std::size_t group,
                        WeightType scale_type) {
  KAKEYA_CHECK(has_panels(type, in, group));
  const PanelLayout layout = panel_layout(type, group, scale_type == WeightType::kF32);
  return (out + kPanelOutputs - 1) / kPanelOutputs * panel_tiles(layout, in) * layout.tile_bytes();
}

Weight pack_panels(base::ThreadPool& pool, const QuantisedRows& rows,
                   std::span<const std::uint32_t> source_row, std::span<std::byte> panels) {
  KAKEYA_CHECK(panels.size() == panel_bytes(rows.type, rows.out, rows.in, rows.group, rows.scale_type));
  KAKEYA_CHECK(reinterpret_cast<std::uintptr_t>(panels.data()) % kPanelAlignment == 0);
  KAKEYA_CHECK(source_row.empty() || source_row.size() == rows.out);
  const PanelLayout layout = panel_layout(rows.type, rows.group, rows.scale_type == WeightType::kF32);
  const std::size_t bytes = panel_tiles(layout, rows.in) * layout.tile_bytes();
  auto* out = reinterpret_cast<std::uint8_t*>(panels.data());
  pool.parallel_for((rows.out + kPanelOutputs - 1) / kPanelOutputs, [&](std::size_t panel, int) {
    pack_panel(rows, source_row, layout, panel, out + panel * bytes);
  });
  return {panels.data(), rows.type, rows.out, rows.in, WeightLayout::kPanels, rows.group, rows.scale_type};
}

std::size_t int8_rows_bytes(std::size_t rows, std::size_t cols) {
  const std::size_t blocks = rows * (cols / kActivationBlock);
  return round_up(rows * cols, kPanelAlignment) + 2 * round_up(blocks * sizeof(float), kPanelAlignment) +
         round_up(2 * blocks * sizeof(std::int32_t), kPanelAlignment) + kPanelAlignment;
}

Int8Rows int8_rows_in(std::span<std::byte> buffer, std::size_t rows, std::size_t cols) {
  KAKEYA_CHECK(cols % kActivationBlock == 0 && buffer.size() >= int8_rows_bytes(rows, cols));
  const std::size_t floats = round_up(rows * (cols / kActivationBlock) * sizeof(float), kPanelAlignment);
  std::byte* scales = buffer.data() + round_up(rows * cols, kPanelAlignment);
  return {rows,
          cols,
          reinterpret_cast<std::int8_t*>(buffer.data()),
          reinterpret_cast<float*>(scales),
          reinterpret_cast<float*>(scales + floats),
          reinterpret_cast<std::int32_t*>(scales + 2 * floats)};
}

void load_quantised_row(const Weight& w, std::size_t index, float* out) {
  if (w.layout == WeightLayout::kRows) {
    KAKEYA_CHECK(!is_affine(w.type));
    const auto* rows = static_cast<const std::byte*>(w.data);
    return dequantise_row(w.type, rows + index * row_bytes(w.type, w.in), w.in, out);
  }
  const PanelLayout layout = panel_layout(w);
  const std::size_t bytes = panel_tiles(layout, w.in) * layout.tile_bytes();
  const auto* panel = static_cast<const std::uint8_t*>(w.data) + index / kPanelOutputs * bytes;
  OutputBlock block;
  for (std::size_t b = 0; b < w.in / kActivationBlock; ++b, out += kActivationBlock) {
    read_output_block(w, layout, panel + b / layout.tile_blocks * layout.tile_bytes(), b % layout.tile_blocks,
                      index % kPanelOutputs, block);
    for (std::size_t i = 0; i < kActivationBlock; ++i) {
      const float value = block.scale[i / 16] * static_cast<float>(block.codes[i] - layout.zero);
      out[i] = is_affine(w.type) || w.type == WeightType::kQ4K || w.type == WeightType::kQ5K
                   ? value + block.min
                   : value;
    }
  }
}

}  // namespace kakeya::kernels
