// Products of a few rows of floats with many rows of int8 codes, for attention in integers. The floats are
// rounded to two bytes per value (about 15 bits below the row's largest), so every product is an exact
// integer sum and one float step: all variants give the same bits, however the rows are grouped.
//
// Layouts of codes, as lattice/row_codes.h writes them:
//   keys    blocks of 16 rows, a block [dim / 4, 16 rows, 4 dims]
//   values  blocks of 64 rows, a block [dim / 16, 16 quads of rows, 16 dims, 4 rows]
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/rows.h"

namespace kakeya::kernels {

// value = step * (128 * high + low), low in [-64, 63]. Rows lie in groups of 8; a group is
// [its high rows, its low rows] x cols.
struct PairRows {
  static constexpr std::size_t kGroup = 8;
  static constexpr int kLargest = 127 * 128;  // of 128 * high + low

  std::size_t rows = 0, cols = 0;
  std::int8_t* codes = nullptr;  // [2 * rows * cols]
  float* steps = nullptr;        // [rows]

  std::size_t group_rows(std::size_t group) const { return std::min(kGroup, rows - group * kGroup); }
  std::int8_t* group(std::size_t index) const { return codes + index * kGroup * 2 * cols; }
  std::int8_t* high(std::size_t row) const { return group(row / kGroup) + row % kGroup * cols; }
  std::int8_t* low(std::size_t row) const { return high(row) + group_rows(row / kGroup) * cols; }
};

// No sum of this many products of 128 * high + low with a code of magnitude up to 126 overflows 32 bits:
// dims and runs of rows are at most this.
inline constexpr std::size_t kMostProducts = 1024;

struct CodeProducts {
  const char* name;  // as Table::name

  // Rounds x[i] * factors[i] (x[i] when factors is null) to row `row` of out. A row with NaN or infinity
  // gets the step NaN. out.cols is a multiple of 64.
  void (*round)(const float* x, const float* factors, const PairRows& out, std::size_t row);
  // x[i] = exp(x[i] - shift) in place, within 4e-7 of it or of e^-87; returns their sum. No x[i] is above
  // shift.
  float (*exp_sum)(float* x, float shift, std::size_t n);
  // scores[r][j] = queries[r] . keys[j] * scales[j]; n keys, a multiple of 16; queries.cols is their dim, a
  // multiple of 64.
  void (*scores)(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                 Rows<float> scores);
  // y[r][i] = sum over j of weights[r][j] * values[j][i]; weights.cols values, a multiple of 64.
  void (*sums)(const PairRows& weights, const std::int8_t* values, Rows<float> y);
};

const CodeProducts& scalar_code_products();
// The variant for the table of that name; null when this build or CPU lacks it or has nothing faster than
// products of floats.
const CodeProducts* find_code_products(std::string_view name);

}  // namespace kakeya::kernels
