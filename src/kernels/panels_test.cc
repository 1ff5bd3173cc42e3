// Panels of every quantised type: what is packed is what the file says, and what is rounded is as near as it
// can be.
#include "kernels/panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/test_panels.h"

namespace kakeya::kernels {
namespace {

INSTANTIATE_TEST_SUITE_P(Panels, PanelVariant, testing::ValuesIn(available().begin(), available().end()),
                         [](const auto& variant) { return std::string(variant.param->name); });

TEST(Panels, ExistForWholeBlocksAndGroupsOnly) {
  EXPECT_TRUE(has_panels(WeightType::kQ4_0, 32, 0));
  EXPECT_FALSE(has_panels(WeightType::kQ4_0, 48, 0));
  EXPECT_FALSE(has_panels(WeightType::kQ4_0, 0, 0));
  EXPECT_TRUE(has_panels(WeightType::kQ6K, 512, 0));
  EXPECT_FALSE(has_panels(WeightType::kQ6K, 128, 0));
  EXPECT_TRUE(has_panels(WeightType::kAffine4, 128, 128));
  EXPECT_FALSE(has_panels(WeightType::kAffine4, 64, 128));
  EXPECT_FALSE(has_panels(WeightType::kAffine4, 64, 16));
  EXPECT_FALSE(has_panels(WeightType::kBf16, 64, 0));
}

TEST(Panels, TakeNoMoreBitsThanTheFile) {
  const auto bits = [](WeightType type, std::size_t group) {
    return 8.0 * static_cast<double>(panel_bytes(type, 64, 4096, group)) / (64 * 4096);
  };
  EXPECT_EQ(bits(WeightType::kQ4_0, 0), 4.5);
  EXPECT_EQ(bits(WeightType::kQ8_0, 0), 8.5);
  EXPECT_EQ(bits(WeightType::kQ4K, 0), 4.5);
  EXPECT_EQ(bits(WeightType::kQ5K, 0), 5.5);
  EXPECT_EQ(bits(WeightType::kQ6K, 0), 6.625);  // 6.5625 in the file; a header is padded to 64 bytes
  EXPECT_EQ(bits(WeightType::kAffine4, 64), 4.5);
  EXPECT_EQ(bits(WeightType::kAffine4, 32), 5.0);
  EXPECT_EQ(bits(WeightType::kAffine8, 64), 8.5);
}

// Where docs/formats/panels.md puts things, written out by hand: one output with a known code at one input.
struct Golden {
  Kind kind;
  std::size_t output, input;
  // Bytes that are not zero: offset from the start of the panels and value.
  std::vector<std::pair<std::size_t, int>> bytes;
};

// All codes zero and all scales zero but that of `output` (f16 or bf16 0x3c01); code of `input` as given.
void expect_golden(const Golden& golden, std::vector<std::uint8_t> row, std::size_t in, std::uint8_t empty) {
  const std::size_t out = golden.output + 1;
  std::vector<std::uint8_t> codes;
  for (std::size_t o = 0; o < golden.output; ++o) codes.insert(codes.end(), row.size(), 0);
  codes.insert(codes.end(), row.begin(), row.end());
  Aligned bytes(panel_bytes(golden.kind.type, out, in, golden.kind.group));
  base::ThreadPool pool(1);
  pack_panels(pool, {golden.kind.type, out, in, codes.data(), nullptr, nullptr, {}, golden.kind.group}, {},
              bytes.span());
  for (const auto& [at, value] : golden.bytes) {
    EXPECT_EQ(static_cast<int>(bytes.span()[at]), value) << name_of(golden.kind) << " byte " << at;
  }
  std::size_t set = 0;
  for (const std::byte b : bytes.span()) set += b != std::byte{empty} && b != std::byte{0} ? 1 : 0;
  EXPECT_EQ(set, golden.bytes.size()) << name_of(golden.kind);
}

TEST(Panels, HaveTheBytesOfTheirDescription) {
  // Q4_0: block 1, input 6 of it: k-group 1, so the high nibble of vector 0, byte 4 * 2 + 2. Output 2.
  std::vector<std::uint8_t> row(2 * 18);
  row[18] = 0x01, row[19] = 0x3c, row[18 + 2 + 6] = 0x0d;
  expect_golden({{WeightType::kQ4_0}, 2, 38, {{32 + 4, 0x01}, {32 + 5, 0x3c}, {64 + 256 + 10, 0xd0}}}, row,
                64, 0);
  // Q8_0: block 0, input 31: k-group 7, byte 64 * 7 + 4 * 2 + 3. A file's code 0 is 0x80 here.
  row.assign(2 * 34, 0);
  row[0] = 0x01, row[1] = 0x3c, row[2 + 31] = 0x05;
  expect_golden({{WeightType::kQ8_0}, 2, 31, {{4, 0x01}, {5, 0x3c}, {64 + 448 + 11, 0x85}}}, row, 64, 0x80);
  // Q5_K: sub-block 3, input 9: k-group 2, low nibble of vector 1; qs[32 + 9] high nibble; bit 3 of qh[9].
  row.assign(176, 0);
  row[0] = 0x01, row[1] = 0x3c, row[2] = 0x02, row[3] = 0x3d, row[4 + 11] = 0x77;
  row[16 + 9] = 1 << 3, row[48 + 32 + 9] = 0xa0;
  expect_golden({{WeightType::kQ5K},
                 1,
                 105,
                 {{2, 0x01},
                  {3, 0x3c},
                  {32 + 2, 0x02},
                  {32 + 3, 0x3d},
                  {64 + 16 * 11 + 1, 0x77},
                  {256 + 3 * 320 + 64 + 4 + 1, 0x0a},
                  {256 + 3 * 320 + 256 + 4 + 1, 1 << 2}}},
                row, 256, 0);
  // Q6_K: input 150 = half 1, 22 of it: low nibble of ql[64 + 22], bits 0 and 1 of qh[32 + 22]. Block 4,
  // input 22: k-group 5, high nibble of vector 2 and bits 2 and 3 of the second vector of bit pairs.
  row.assign(210, 0);
  row[64 + 22] = 0x0b, row[128 + 32 + 22] = 0x02, row[192 + 9] = 0xfe, row[208] = 0x01, row[209] = 0x3c;
  expect_golden({{WeightType::kQ6K},
                 0,
                 150,
                 {{16 * 9, 0xfe},
                  {256, 0x01},
                  {257, 0x3c},
                  {320 + 4 * 384 + 128 + 2, 0xb0},
                  {320 + 4 * 384 + 256 + 64 + 2, 0x02 << 2}}},
                row, 256, 0);
}

TEST_P(PanelVariant, LoadRowGivesTheFilesValues) {
  for (const Kind& kind : kKinds) {
    for (const std::size_t units : {1, 3, 4}) {
      const File file(kind, 21, units * unit(kind), 1);
      std::vector<std::uint32_t> order(file.rows.out);
      std::iota(order.begin(), order.end(), 0u);
      std::reverse(order.begin(), order.end());
      const Packed packed(file), reversed(file, order);
      std::vector<float> out(file.rows.in);
      for (std::size_t row = 0; row < file.rows.out; ++row) {
        ops().load_row(packed.weight, row, out.data());
        ASSERT_TRUE(same(out, file.row(row))) << name_of(kind) << " row " << row;
        ops().load_row(reversed.weight, row, out.data());
        ASSERT_TRUE(same(out, file.row(order[row]))) << name_of(kind) << " row " << row;
        if (is_affine(kind)) continue;
        ops().load_row({file.codes.data(), kind.type, file.rows.out, file.rows.in}, row, out.data());
        ASSERT_TRUE(same(out, file.row(row))) << name_of(kind) << " row " << row;
      }
    }
  }
}

TEST_P(PanelVariant, RoundingKeepsTheLargestExactAndTheRestWithinHalfAStep) {
  const std::size_t rows = 19, cols = 96;
  std::vector<float> x = random_floats(rows * cols, 2);
  std::fill_n(x.begin() + 32, 32, 0.0f);
  for (std::size_t i = 0; i < 32; ++i) x[3 * cols + i] *= 1e30f;
  const Rounded rounded(ops(), x, rows, cols);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < cols / 32; ++b) {
      double largest = 0;
      for (std::size_t i = 0; i < 32; ++i)
        largest = std::max(largest, std::abs(double{x[r * cols + b * 32 + i]}));
      int sum = 0, first = 0;
      const Int8Rows group = rounded.view.group(r / 16);
      const std::size_t at = b * group.rows + r % 16;
      for (std::size_t i = 0; i < 32; ++i) {
        const double expected = x[r * cols + b * 32 + i];
        EXPECT_NEAR(rounded.value(r, b * 32 + i), expected, largest / 127 * 0.5001) << r << " " << b;
        sum += group.codes[at * 32 + i];
        if (i < 16) first += group.codes[at * 32 + i];
      }
      EXPECT_EQ(group.scales[at], static_cast<float>(largest) / 127.0f);
      EXPECT_EQ(group.negative_sums[2 * at], -sum);
      EXPECT_EQ(group.negative_sums[2 * at + 1], -first);
      EXPECT_EQ(group.scaled_sums[at], group.scales[at] * static_cast<float>(sum));
    }
  }
}

TEST_P(PanelVariant, RoundingGivesTheBitsOfScalarAlsoAtTheEdges) {
  const std::size_t rows = 18, cols = 64;
  std::vector<float> x = random_floats(rows * cols, 3);
  const float edges[] = {0.0f,  -0.0f,      1e-42f,     0x1p-101f,  0x1p-100f,
                         3e38f, 0.5f / 127, 1.5f / 127, -2.5f / 127};
  for (std::size_t r = 0; r < std::size(edges); ++r) {
    for (std::size_t i = 0; i < 32; ++i) x[r * cols + i] = i % 5 == 0 ? edges[r] : edges[r] * 0.5f;
  }
  x[12 * cols + 7] = std::numeric_limits<float>::quiet_NaN();
  x[13 * cols + 40] = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < 32; ++i)
    x[14 * cols + i] = static_cast<float>(static_cast<int>(i) - 16) * 0.5f + 1;
  x[14 * cols + 31] = 127;  // ties: halves of a step
  const Rounded got(ops(), x, rows, cols), want(*find("scalar"), x, rows, cols);
  for (std::size_t g = 0; g < got.view.groups(); ++g) {
    const Int8Rows a = got.view.group(g), b = want.view.group(g);
    const std::size_t blocks = a.rows * cols / 32;
    EXPECT_EQ(0, std::memcmp(a.codes, b.codes, blocks * 32)) << g;
    EXPECT_EQ(0, std::memcmp(a.negative_sums, b.negative_sums, blocks * 2 * sizeof(std::int32_t))) << g;
    for (std::size_t i = 0; i < blocks; ++i) {
      EXPECT_TRUE(a.scales[i] == b.scales[i] || (std::isnan(a.scales[i]) && std::isnan(b.scales[i]))) << i;
      EXPECT_TRUE(a.scaled_sums[i] == b.scaled_sums[i] || std::isnan(b.scaled_sums[i])) << i;
    }
  }
  EXPECT_TRUE(std::isnan(want.view.group(0).scales[12]));
  EXPECT_TRUE(std::isnan(want.view.group(0).scales[16 + 13]));
}

}  // namespace
}  // namespace kakeya::kernels
