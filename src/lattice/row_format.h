// How the lattice points of one row become bits: digits in radix 2Q+2, two to a field, parity and coset
// folded into the last digit of a block. Sizes and shifts only; the work is in the row kernels.
// Layout with pictures: docs/formats/kv-e8.md.
#pragma once
#include <kakeya/result.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "lattice/lattice.h"

namespace kakeya::lattice {

inline constexpr int kMinRange = 2;
inline constexpr int kMaxRange = 255;
inline constexpr std::size_t kMaxDim = 512;
inline constexpr std::size_t kMaxCodeBytes = kMaxDim / 2 * 18 / 8;  // 18 bits for two values

// A group is 8 consecutive values: one E8 block or two D4 blocks; 4 fields in either case.
inline constexpr std::size_t kGroup = 8;

struct RowFormat {
  Kind kind = Kind::kE8;
  int q = 0;
  std::size_t dim = 0;
  std::size_t groups = 0;      // dim / 8
  std::uint32_t radix = 0;     // 2Q + 2, always even
  int field_bits = 0;          // of a full field, ceil(2 log2 radix): 6 to 18
  int group_bits = 0;          // of 4 fields: 4 * field_bits, or 2 less for D4
  std::array<int, 4> shift{};  // bit offset of a field in its group
  std::array<std::uint32_t, 4> mask{};
  std::size_t code_bytes = 0;  // of a row, headers not counted

  // Of field j.
  int bits(std::size_t j) const { return (j == 3 ? group_bits : shift[j + 1]) - shift[j]; }

  // Where vectors find the fields of 4 consecutive groups, which start and end on byte boundaries: the first
  // byte of a group, then per field the 4 bytes (counted from there) that hold it and the shift within.
  struct Plan {
    std::array<std::size_t, 4> offset{};
    alignas(64) std::array<std::uint32_t, 16> bytes{};
    alignas(64) std::array<std::uint32_t, 16> shift{};
  };
  Plan plan;

  // Errors: kUnsupported naming the value and the rule it breaks.
  static Result<RowFormat> create(Kind kind, int q, std::size_t dim);
};

}  // namespace kakeya::lattice
