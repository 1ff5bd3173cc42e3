// Rows as int8 codes: every field of every range, and rows as the codec writes them, against the row kernels
// that golden files pin.
#include "lattice/row_codes.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/half.h"
#include "kernels/kernels.h"
#include "lattice/row_kernels.h"

namespace kakeya::lattice {
namespace {

std::vector<const RowCodes*> variants() {
  std::vector<const RowCodes*> out;
  for (const kernels::Table* table : kernels::available()) {
    const RowCodes* found = find_row_codes(table->name);
    if (found != nullptr && (out.empty() || out.back() != found)) out.push_back(found);
  }
  return out;
}

TEST(RowCodes, EveryTableFromAvx2OrDotProductsOnHasAVariant) {
  for (const kernels::Table* table : kernels::available()) {
    const std::string_view name = table->name;
    if (name == "sse4" || name == "neon") continue;
    EXPECT_NE(find_row_codes(name), nullptr) << name;
  }
}

RowFormat format_of(Kind kind, int q, std::size_t dim) {
  auto format = RowFormat::create(kind, q, dim);
  EXPECT_TRUE(format.ok());
  return *format;
}

void put_field(std::uint8_t* bytes, std::size_t bit, std::uint32_t value) {
  for (; value != 0; ++bit, value >>= 1) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (value & 1) << bit % 8);
  }
}

// Rows [rows, stride] whose field f of row r holds value (r + 37 f) % limit of its place: with at least as
// many rows as values, each of the four places sees every field.
std::vector<std::uint8_t> rows_of_fields(const RowFormat& format, std::size_t rows, std::size_t stride) {
  std::vector<std::uint8_t> out(rows * stride);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t f = 0; f < format.dim / 2; ++f) {
      const std::size_t j = f % 4;
      const bool halved = format.kind == Kind::kD4 && j % 2 == 1;
      const std::uint32_t limit = format.radix * format.radix / (halved ? 2 : 1);
      const std::size_t bit =
          f / 4 * static_cast<std::size_t>(format.group_bits) + static_cast<std::size_t>(format.shift[j]);
      put_field(out.data() + r * stride, bit, static_cast<std::uint32_t>((r + 37 * f) % limit));
    }
  }
  return out;
}

// The rows as int8 in the layouts of keys and values, against twice the floats of the row kernels.
void expect_rows(const RowFormat& format, const std::vector<std::uint8_t>& codes, std::size_t stride) {
  const CodePlan plan(format);
  const std::size_t dim = format.dim, total = codes.size() / stride;
  const std::vector<std::uint32_t> negate(total, 0u);
  std::vector<float> expected(total * dim);
  scalar_row_kernels().unpack(format, codes.data(), stride, codes.data() + codes.size(), negate,
                              {expected.data(), total, dim});
  for (const RowCodes* variant : variants()) {
    for (std::size_t first = 0; first < total; first += kValueRows) {
      const std::size_t n = std::min(kValueRows, total - first);
      alignas(64) std::int8_t keys[kValueRows * kMaxDim], values[kValueRows * kMaxDim];
      alignas(64) std::int8_t in_rows[kValueRows * kMaxDim];
      // A copy of the exact size: a sanitizer sees every read beyond it.
      const std::vector<std::uint8_t> page(codes.data() + first * stride,
                                           codes.data() + (first + n) * stride);
      const PackedRows rows = {page.data(), stride, n, page.data() + page.size()};
      variant->keys(plan, rows, keys);
      variant->values(plan, rows, values);
      if (variant->rows != nullptr) variant->rows(plan, rows, in_rows);
      for (std::size_t r = 0; r < n; ++r) {
        for (std::size_t i = 0; i < dim; ++i) {
          const float want = 2.0f * expected[(first + r) * dim + i];
          ASSERT_EQ(static_cast<float>(keys[key_index(dim, r, i)]), want)
              << variant->name << " q " << format.q << " row " << first + r << " value " << i;
          const std::size_t place = variant->swaps_lanes ? lane_swapped(i) : i;
          ASSERT_EQ(static_cast<float>(values[value_index(dim, r, place)]), want)
              << variant->name << " q " << format.q << " row " << first + r << " value " << i;
          if (variant->rows == nullptr) continue;
          ASSERT_EQ(static_cast<float>(in_rows[r * dim + i]), want)
              << variant->name << " q " << format.q << " row " << first + r << " value " << i;
        }
      }
    }
  }
}

TEST(RowCodes, EveryFieldOfEveryRangeIsTwiceTheClampedCoordinates) {
  for (const Kind kind : {Kind::kE8, Kind::kD4}) {
    for (int q = kMinRange; q <= kMaxCodeRange; ++q) {
      const RowFormat format = format_of(kind, q, 64);
      const std::size_t stride = format.code_bytes + 4;
      expect_rows(format, rows_of_fields(format, format.radix * format.radix, stride), stride);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(RowCodes, EveryRowLengthAndNumberOfRowsWorks) {
  for (const Kind kind : {Kind::kE8, Kind::kD4}) {
    for (const int q : {2, 3, 10, 31, 38, 63}) {
      for (const std::size_t dim : {64, 128, 256, 512}) {
        for (const std::size_t rows : {1, 2, 5, 16, 17, 63, 64, 130}) {
          const RowFormat format = format_of(kind, q, dim);
          expect_rows(format, rows_of_fields(format, rows, format.code_bytes), format.code_bytes);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(RowCodes, ScalesAreHalfOfNormTimesPeakByRangeWithTheSignOfTheCodes) {
  std::mt19937 random(7);
  std::vector<std::uint32_t> headers;
  for (std::uint32_t half = 0; half < 0x7c00; half += 3) {  // subnormals to the largest number
    headers.push_back(half | (random() % 0x7c00) << 16 | (random() % 2) << 31);
  }
  headers.resize(headers.size() / 16 * 16);
  for (const RowCodes* variant : variants()) {
    for (int q = kMinRange; q <= kMaxCodeRange; ++q) {
      std::vector<float> scales(headers.size());
      variant->scales(headers.data(), headers.size(), q, scales.data());
      for (std::size_t i = 0; i < headers.size(); ++i) {
        const float norm = base::f16_to_f32(headers[i] & 0x7fff);
        const float peak = base::f16_to_f32(headers[i] >> 16 & 0x7fff);
        const float want = norm * peak / static_cast<float>(q) / 2 * (headers[i] >> 31 != 0 ? -1.0f : 1.0f);
        ASSERT_EQ(scales[i], want) << variant->name << " header " << headers[i];
      }
    }
  }
}

}  // namespace
}  // namespace kakeya::lattice
