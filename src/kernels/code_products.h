// Products of a few rows of floats with many cached rows of small codes, for fast attention.
//
// int8 codes: the floats are rounded to two bytes per value (about 15 bits below the row's largest), so every
// product is an exact integer sum and one float step: all variants give the same bits.
// bf16 codes: the floats are split into two bf16 numbers (AMX, about 16 bits of each value) or stay as they
// are (AVX-512); sums are fp32 in an order that belongs to the variant.
// Either way a row's bits do not depend on how many rows are multiplied with it.
//
// Layouts of codes, k = 4 int8 or 2 bf16 numbers:
//   keys    blocks of 16 rows, a block [dim / k, 16 rows, k dims]
//   values  blocks of 16 k rows, a block [dim / 16, 16 groups of k rows, 16 dims, k rows]
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/line_requests.h"
#include "base/rows.h"

namespace kakeya::kernels {

// Rows of two parts per value. int8: value = step * (128 * high + low), low in [-64, 63]; bf16: value = step
// * (high + low). Rows lie in groups of 8, of bf16 16; a group is [its high rows, its low rows] x cols. The
// variant on floats has rows of floats in the same place instead, two parts being four bytes there too.
struct PairRows {
  static constexpr int kLargest = 127 * 128;  // of 128 * high + low

  std::size_t rows = 0, cols = 0;
  std::int8_t* codes = nullptr;  // [2 * rows * row_bytes()], with room for whole groups
  float* steps = nullptr;        // [rows]
  std::size_t part_bytes = 1;    // CodeProducts::code_bytes

  std::size_t row_bytes() const { return cols * part_bytes; }  // of one part
  std::size_t group_size() const { return 8 * part_bytes; }
  std::size_t group_rows(std::size_t group) const {
    return std::min(group_size(), rows - group * group_size());
  }
  std::int8_t* group(std::size_t index) const { return codes + index * group_size() * 2 * row_bytes(); }
  std::int8_t* high(std::size_t row) const {
    return group(row / group_size()) + row % group_size() * row_bytes();
  }
  std::int8_t* low(std::size_t row) const { return high(row) + group_rows(row / group_size()) * row_bytes(); }
  std::int8_t* whole(std::size_t row) const { return codes + row * 2 * row_bytes(); }
};

// Of CodeProducts::columns: 16 bytes for every dim of a group.
inline std::size_t column_bytes(const PairRows& queries) {
  return (queries.rows + queries.group_size() - 1) / queries.group_size() * 16 * queries.cols;
}

// No sum of this many products of 128 * high + low with a code of magnitude up to 126 overflows 32 bits:
// dims and runs of rows are at most this.
inline constexpr std::size_t kMostProducts = 1024;

// A part of a core that falls asleep between calls and takes longer to wake than a call needs. Between hold()
// and release(), calls of one thread, stir() every few hundred nanoseconds keeps it awake. No result depends
// on any of them.
struct SleepyUnit {
  void (*hold)(std::size_t rows);  // of the calls to come
  void (*stir)();
  void (*release)();
};

struct CodeProducts {
  const char* name;  // as Table::name
  std::size_t code_bytes;
  const SleepyUnit* unit;        // that multiplies; null where it never sleeps
  std::size_t most_row_queries;  // up to so many queries row_scores is the faster way; 0: there is none

  // Rounds x[i] * factors[i] (x[i] when factors is null) to row `row` of out. A row with NaN or infinity
  // gets the step NaN; every step of bf16 is 1 or NaN. out.cols is a multiple of 64.
  void (*round)(const float* x, const float* factors, const PairRows& out, std::size_t row);
  // x[i] = exp(x[i] - shift) in place, within 4e-7 of it or of e^-87; returns their sum. No x[i] is above
  // shift.
  float (*exp_sum)(float* x, float shift, std::size_t n);
  // scores[r][j] = queries[r] . keys[j] * scales[j]; n keys, a multiple of 16; queries.cols is their dim, a
  // multiple of 64.
  void (*scores)(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
                 Rows<float> scores);
  // The same bits of keys that are rows, [n, dim], and queries that columns() has laid out for it, in
  // column_bytes(queries) on a line's start.
  void (*columns)(const PairRows& queries, std::int8_t* out);
  void (*row_scores)(const PairRows& queries, const std::int8_t* columns, const std::int8_t* keys,
                     std::size_t n, const float* scales, Rows<float> scores);
  // y[r][i] = sum over j of weights[r][j] * values[j][i]; weights.cols values, a multiple of 64.
  void (*sums)(const PairRows& weights, const std::int8_t* values, Rows<float> y);
};

// Holds the unit of `products`, which may be null, for calls with `rows` rows.
class HeldUnit {
 public:
  HeldUnit(const CodeProducts* products, std::size_t rows)
      : unit_(products != nullptr ? products->unit : nullptr) {
    if (unit_ != nullptr) unit_->hold(rows);
  }
  ~HeldUnit() {
    if (unit_ != nullptr) unit_->release();
  }
  HeldUnit(const HeldUnit&) = delete;
  HeldUnit& operator=(const HeldUnit&) = delete;

 private:
  const SleepyUnit* unit_;
};

const CodeProducts& scalar_code_products();
// The variant of int8 codes for the table of that name; null when this build or CPU lacks it or has nothing
// faster than products of floats.
const CodeProducts* find_code_products(std::string_view name);

// Stored rows of bf16, dense.
struct Bf16Rows {
  const std::byte* rows = nullptr;       // [count, dim]
  std::size_t count = 0, dim = 0;        // 1 <= count <= 64; dim is a multiple of 64
  base::LineRequests* wanted = nullptr;  // asked for while rows are laid out, as many bytes; or null
};
// Products of bf16 codes, and stored rows as such codes. Keys come in whole blocks, any codes beyond the last
// row of x; values always 64 rows, zeros there.
struct Bf16Products {
  CodeProducts products;
  void (*keys)(const Bf16Rows& x, std::int8_t* out);
  void (*values)(const Bf16Rows& x, std::int8_t* out);
};
// As find_code_products.
const Bf16Products* find_bf16_products(std::string_view name);

}  // namespace kakeya::kernels
