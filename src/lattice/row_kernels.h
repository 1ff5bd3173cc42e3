// The stages of a lattice codec on one row, one table per CPU variant: rotate, quantise and pack, unpack.
// Every variant gives the same bits as `scalar`: sums follow one fixed order and nothing is fused.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/rows.h"
#include "lattice/row_format.h"

namespace kakeya::lattice {

// fp32 machine epsilon, the floor of norm and peak.
inline constexpr float kEpsilon = 0x1p-23f;

struct RowKernels {
  const char* name;  // as Table::base in kernels

  // max(|x|, kEpsilon), not rounded to fp16; infinity when the sum of squares is not finite.
  float (*norm)(const float* x, std::size_t dim);
  // y = (x / norm) H for a finite norm. x [dim]; y [8, dim/8]: coordinate i of group g lies at
  // y[i * dim/8 + g]. Returns max(max |y|, kEpsilon), not rounded to fp16.
  float (*rotate)(const float* x, std::size_t dim, float norm, float* y);
  // Nearest points of y / step, packed into codes [code_bytes]. False when a coordinate has no digit
  // (codes are then undefined): the row must be negated or stored wide.
  bool (*quantize)(const RowFormat& format, const float* y, float step, std::uint8_t* codes);
  // Clamped coordinates, times -1 where negate[r] is 0x80000000 instead of 0. Row r of tile comes from
  // codes + r * stride; no byte at or after `end` is read. Any bytes are safe.
  void (*unpack)(const RowFormat& format, const std::uint8_t* codes, std::size_t stride,
                 const std::uint8_t* end, std::span<const std::uint32_t> negate, Rows<float> tile);
  // x[i] *= factor; dim values.
  void (*scale)(float factor, float* x, std::size_t dim);
};

const RowKernels& scalar_row_kernels();
// The variant of that name; null when this build or CPU lacks it. Names are those of Table::base.
const RowKernels* find_row_kernels(std::string_view name);

// The rare rows, plain C++. Doubled coordinates of the unclamped nearest points, [dim] in row order.
void row_points(const RowFormat& format, const float* y, float step, std::int16_t* doubled);
// Packs points of the lattice. False when one has no digit.
bool pack_points(const RowFormat& format, const std::int16_t* doubled, std::uint8_t* codes);
// Writes what unpack would give for these points.
void clamp_points(const RowFormat& format, std::span<const std::int16_t> doubled, float* out);

}  // namespace kakeya::lattice
