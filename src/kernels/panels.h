// Panels: the one resident form of quantised weights. 16 outputs lie side by side, inputs in blocks of 32
// whose codes have the order that int8 dot products read, with the scales of the 16 outputs beside them.
// Repacked once at load, in place of the file's rows. Layout: docs/formats/panels.md.
//
// Products use activations rounded to int8 per row and block of 32 inputs. Integer sums are exact and the
// float steps per block follow one order, so every CPU variant with fused multiply-add gives the same bits,
// whatever the number of rows.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernels.h"

namespace kakeya::kernels {

inline constexpr std::size_t kPanelOutputs = 16;
inline constexpr std::size_t kActivationBlock = 32;
inline constexpr std::size_t kPanelAlignment = 64;

// A quantised matrix as its file holds it.
struct QuantisedRows {
  WeightType type = WeightType::kQ4_0;
  std::size_t out = 0, in = 0;
  const void* data = nullptr;  // ggml blocks row by row; affine: codes [out, in], low bits first, dense
  // Affine types only: [out, in / group], f16, bf16 or f32 as scale_type says.
  const void* scales = nullptr;
  const void* biases = nullptr;
  WeightType scale_type = WeightType::kBf16;
  std::size_t group = 0;
};

// True when panels of this shape exist: `in` is a multiple of the type's block and group.
bool has_panels(WeightType type, std::size_t in, std::size_t group);
// Bytes of the panels of a matrix, a multiple of 64; outputs are padded to whole panels with zeros.
std::size_t panel_bytes(WeightType type, std::size_t out, std::size_t in, std::size_t group,
                        WeightType scale_type = WeightType::kBf16);
// Fills `panels` [panel_bytes], 64-byte aligned. Output o is row source_row[o] of `rows`, or row o when
// source_row is empty. Split over the pool.
Weight pack_panels(base::ThreadPool& pool, const QuantisedRows& rows,
                   std::span<const std::uint32_t> source_row, std::span<std::byte> panels);

// Rows of activations rounded to int8: code = round(x / scale), scale = largest magnitude of the block / 127.
// Rows lie in groups of 16, the last may be shorter; within a group block after block, in a block row after
// row, so that every kernel reads what it needs in order.
struct Int8Rows {
  static constexpr std::size_t kGroup = 16;

  std::size_t rows = 0, cols = 0;
  std::int8_t* codes = nullptr;           // a group: [cols / 32, rows of the group, 32]
  float* scales = nullptr;                // a group: [cols / 32, rows of the group]
  float* scaled_sums = nullptr;           // as scales: scale * sum of the block's codes
  std::int32_t* negative_sums = nullptr;  // as scales, pairs: minus the sum of the codes, of the first 16

  // Rows [kGroup * index, ...) alone.
  Int8Rows group(std::size_t index) const {
    const std::size_t row = index * kGroup, blocks = cols / kActivationBlock;
    return {std::min(kGroup, rows - row), cols,
            codes + row * cols,           scales + row * blocks,
            scaled_sums + row * blocks,   negative_sums + 2 * row * blocks};
  }
  std::size_t groups() const { return (rows + kGroup - 1) / kGroup; }
};

// Kernels may read, and not use, a vector beyond the end of each array.
std::size_t int8_rows_bytes(std::size_t rows, std::size_t cols);
// Rows in `buffer` [int8_rows_bytes], 64-byte aligned; not initialised.
Int8Rows int8_rows_in(std::span<std::byte> buffer, std::size_t rows, std::size_t cols);

// Row `index` of a quantised matrix as float, the values of dequantise_row. Not for kRows of affine types.
void load_quantised_row(const Weight& w, std::size_t index, float* out);

}  // namespace kakeya::kernels
