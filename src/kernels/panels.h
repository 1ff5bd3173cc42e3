// Panels: the one resident form of quantised weights. 16 outputs lie side by side, inputs in blocks of 32
// whose codes have the order that int8 dot products read, with the scales of the 16 outputs beside them.
// Repacked once at load, in place of the file's rows. Layout: docs/formats/panels.md.
//
// Products use activations rounded to int8 per row and block of 32 inputs. Integer sums are exact and the
// float steps per block follow one order, so every CPU variant with fused multiply-add gives the same bits,
// whatever the number of rows.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernels.h"

namespace kakeya::kernels {

inline constexpr std::size_t kPanelOutputs = 16;
inline constexpr std::size_t kActivationBlock = 32;

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
std::size_t panel_bytes(WeightType type, std::size_t out, std::size_t in, std::size_t group);
// Fills `panels` [panel_bytes], 64-byte aligned. Output o is row source_row[o] of `rows`, or row o when
// source_row is empty. Split over the pool.
Weight pack_panels(base::ThreadPool& pool, const QuantisedRows& rows,
                   std::span<const std::uint32_t> source_row, std::span<std::byte> panels);

// Rows of activations rounded to int8: code = round(x / scale), scale = largest magnitude of the block / 127.
struct Int8Rows {
  std::size_t rows = 0, cols = 0;
  std::int8_t* codes = nullptr;  // [rows, cols]
  float* scales = nullptr;       // [rows, cols / kActivationBlock]
  std::int32_t* sums = nullptr;  // [rows, cols / kActivationBlock]: sum of the block's codes
};

}  // namespace kakeya::kernels
