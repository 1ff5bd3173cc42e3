// Packed rows straight to int8, for attention in integers: twice the clamped coordinates, so that both cosets
// are whole numbers of one byte. Ranges up to kMaxCodeRange. Rows come out interleaved as int8 dot products
// read them:
//
//   rows    as they are, [rows, dim]
//   keys    blocks of 16 rows, a block [dim / 4, 16 rows, 4 dims]
//   values  blocks of 64 rows, a block [dim / 16, 16 quads of rows, 16 dims, 4 rows]
//
// Every variant gives the same bytes for rows that pack_points wrote. The sign of a negated row is left to
// its scale.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/line_requests.h"
#include "lattice/row_format.h"

namespace kakeya::lattice {

inline constexpr int kMaxCodeRange = 63;    // 2 * 63 still fits a byte
inline constexpr int kSmallCodeRange = 15;  // 4 * 15 + 3 still is one of 64
inline constexpr std::size_t kKeyRows = 16;
inline constexpr std::size_t kValueRows = 64;

// Where a coordinate of row `row` lies from the start of the first block.
inline std::size_t key_index(std::size_t dim, std::size_t row, std::size_t i) {
  return row / kKeyRows * kKeyRows * dim + i / 4 * 4 * kKeyRows + row % kKeyRows * 4 + i % 4;
}
inline std::size_t value_index(std::size_t dim, std::size_t row, std::size_t i) {
  const std::size_t tile = row / kValueRows * (dim / 16) + i / 16;
  return (tile * 16 + row % kValueRows / 4) * 64 + i % 16 * 4 + row % 4;
}

// Of variants that swap lanes: values come with dim i in the place of this one, an order that is its own
// inverse. Of 64 dims, four times four groups of four, it swaps rows and columns.
inline std::size_t lane_swapped(std::size_t i) {
  return i / 64 * 64 + i / 4 % 4 * 16 + i / 16 % 4 * 4 + i % 4;
}
void swap_lanes(float* row, std::size_t dim);

// What vectors need to take a pair of groups (16 values) apart. A pair starts on a byte or, every other one
// of D4, in the middle of a byte: the entries of even and odd pairs.
struct CodePlan {
  RowFormat format;
  std::array<std::array<std::uint8_t, 16>, 2> order{};  // 8 bytes from each group's first one
  // Per byte of the fields, doubled: its first bit in the group, whose 64 bits are a circle.
  std::array<std::array<std::uint8_t, 16>, 2> select{};
  // The same for eight groups (64 values) of one row, which start and end on a byte.
  std::array<std::uint8_t, 64> row_order{}, row_select{};
  // The same in 16-bit words, one a field: (low word >> below) | (high byte << (16 - below)).
  std::array<std::array<std::uint8_t, 16>, 2> low{}, high{};  // their bytes in the pair, 0x80 for none
  std::array<std::array<std::uint16_t, 8>, 2> below{};        // 1 to 8
  std::uint16_t inverse = 0;                                  // quotient = (field * inverse >> 16) >> shift
  int shift = 0;
  // q <= kSmallCodeRange: quotient = 2 field * direct >> 16, and a point by twice its digits plus its coset.
  bool small = false;
  std::uint16_t direct = 0;
  std::array<std::int8_t, 64> clamped{};

  // For format.q <= kMaxCodeRange.
  explicit CodePlan(const RowFormat& format);
  // First byte of pair p.
  std::size_t offset(std::size_t p) const { return p * 2 * static_cast<std::size_t>(format.group_bits) / 8; }

 private:
  // Of the field that begins at bit `bit` of its pair.
  void plan_words(std::size_t bit, std::size_t odd, std::size_t word);
};

// `rows` of `codes`, stride apart; no byte at or after `end` is read.
struct PackedRows {
  const std::uint8_t* codes = nullptr;
  std::size_t stride = 0;
  std::size_t rows = 0;  // 1 to kValueRows
  const std::uint8_t* end = nullptr;
  base::LineRequests* wanted = nullptr;  // asked for while rows are unpacked, as many bytes; or null
};

struct RowCodes {
  const char* name;  // as Table::name in kernels
  bool swaps_lanes;  // of values

  // Rows in whole fours; null where nothing takes keys as rows.
  void (*rows)(const CodePlan& plan, const PackedRows& rows, std::int8_t* out);
  // Whole blocks; what stands in the places of rows beyond the last is not defined.
  void (*keys)(const CodePlan& plan, const PackedRows& rows, std::int8_t* out);
  void (*values)(const CodePlan& plan, const PackedRows& rows, std::int8_t* out);
  // scales[i] = norm * peak / q / 2, norm and peak the fp16 numbers in the low and the high half of
  // headers[i], without their signs; negative where the peak's sign is set. n is a multiple of 16.
  void (*scales)(const std::uint32_t* headers, std::size_t n, int q, float* scales);
};

const RowCodes& scalar_row_codes();
// The variant for the table of that name; null when this build or CPU lacks it.
const RowCodes* find_row_codes(std::string_view name);
// AVX-512 VBMI, or null.
const RowCodes* vbmi_row_codes();
// AVX2 or NEON, or null.
const RowCodes* simd_row_codes();

}  // namespace kakeya::lattice
