// Rows of activations as three bf16 numbers a value, for products of bf16 weights by bf16 dot products: the
// value's upper half, the upper half of what is left, and the rest. 24 bits are three times eight, so their
// sum is the value and nothing is rounded (below 2^-100 the smallest parts may be lost).
//
// The sum of an output goes 32 inputs after 32 inputs; for each of them the sums of the first parts are added
// to it, then of the second, then of the third. 32 inputs are summed as TDPBF16PS does it (Intel SDM, volume
// 2): even and odd inputs apart, each in order from zero, then both. So the number of rows changes no bit.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernels.h"

namespace kakeya::kernels {

// Rows lie in groups of 16; one group alone is as wide as it has rows, of several each has 16, the last with
// columns that hold anything.
struct SplitRows {
  static constexpr std::size_t kGroup = 16, kStep = 32, kParts = 3;

  std::size_t rows = 0, cols = 0;  // cols is a multiple of kStep
  std::uint16_t* parts = nullptr;  // a group: [cols / 32][kParts][16 pairs of inputs][width][2]

  std::size_t width() const { return std::min(rows, kGroup); }
  std::size_t groups() const { return (rows + kGroup - 1) / kGroup; }
  std::uint16_t* group(std::size_t index) const { return parts + index * kParts * cols * width(); }
};

// True when products of w with this variant take SplitRows.
bool takes_split_rows(const Table& ops, const Weight& w);

std::size_t split_rows_bytes(std::size_t rows, std::size_t cols);
// Rows in `buffer` [split_rows_bytes], 64-byte aligned; not initialised.
SplitRows split_rows_in(std::span<std::byte> buffer, std::size_t rows, std::size_t cols);

}  // namespace kakeya::kernels
