// Panels of every quantised type: what is packed is what the file says, products agree with double precision
// on the dequantised weights and the rounded activations, and every variant gives the bits of scalar.
#include "kernels/panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>

#include "base/half.h"
#include "kernels/blocks.h"

namespace kakeya::kernels {
namespace {

// Error of a sum of block sums in fp32, relative to the sum of the magnitudes of its terms.
constexpr double kSumTolerance = 2e-6;

struct Kind {
  WeightType type;
  std::size_t group = 0;
  WeightType scale_type = WeightType::kBf16;
};
const Kind kKinds[] = {
    {WeightType::kQ4_0},
    {WeightType::kQ8_0},
    {WeightType::kQ4K},
    {WeightType::kQ5K},
    {WeightType::kQ6K},
    {WeightType::kAffine4, 32},
    {WeightType::kAffine4, 64},
    {WeightType::kAffine4, 128, WeightType::kF16},
    {WeightType::kAffine4, 64, WeightType::kF32},
    {WeightType::kAffine8, 32, WeightType::kF16},
    {WeightType::kAffine8, 64},
    {WeightType::kAffine8, 128, WeightType::kF32},
};
std::string name_of(const Kind& kind) {
  return std::string(to_string(kind.type)) +
         (kind.group == 0 ? "" : "g" + std::to_string(kind.group) + to_string(kind.scale_type));
}
bool is_affine(const Kind& kind) { return kind.group != 0; }
std::size_t unit(const Kind& kind) { return is_affine(kind) ? kind.group : block_values(kind.type); }

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

// 64-byte aligned bytes.
class Aligned {
 public:
  explicit Aligned(std::size_t n) : buffer_(n + 64), size_(n) {}
  std::span<std::byte> span() {
    const auto address = reinterpret_cast<std::uintptr_t>(buffer_.data());
    return {buffer_.data() + (64 - address % 64) % 64, size_};
  }

 private:
  std::vector<std::byte> buffer_;
  std::size_t size_;
};

// Random codes of every value; scales small, of both signs.
struct File {
  File(const Kind& k, std::size_t out, std::size_t in, unsigned seed) : kind(k) {
    std::mt19937 random(seed);
    const std::size_t values = is_affine(k) ? 2 : block_values(k.type);
    const std::size_t bytes = !is_affine(k) ? block_bytes(k.type) : k.type == WeightType::kAffine4 ? 1 : 2;
    codes.resize(out * in / values * bytes);
    for (std::uint8_t& b : codes) b = static_cast<std::uint8_t>(random());
    const auto half_scale = [&] {
      const float value =
          (0.001f + 0.01f * static_cast<float>(random() % 1000) / 1000) * (random() % 4 == 0 ? -1.0f : 1.0f);
      return base::f32_to_f16(value);
    };
    const auto put_half = [&](std::size_t at) {
      const std::uint16_t half = half_scale();
      std::memcpy(codes.data() + at, &half, 2);
    };
    for (std::size_t at = 0; !is_affine(k) && at < codes.size(); at += bytes) {
      put_half(k.type == WeightType::kQ6K ? at + offsetof(BlockQ6K, d) : at);
      if (k.type == WeightType::kQ4K || k.type == WeightType::kQ5K) put_half(at + 2);
    }
    const std::size_t size = k.scale_type == WeightType::kF32 ? 4 : 2;
    for (std::vector<std::uint8_t>* list : {&scales, &biases}) {
      if (!is_affine(k)) break;
      list->resize(out * in / k.group * size);
      for (std::size_t i = 0; i < list->size() / size; ++i) {
        const float value = base::f16_to_f32(half_scale());
        const std::uint16_t bits =
            k.scale_type == WeightType::kF16 ? base::f32_to_f16(value) : base::f32_to_bf16(value);
        if (size == 4) std::memcpy(list->data() + 4 * i, &value, 4);
        if (size == 2) std::memcpy(list->data() + 2 * i, &bits, 2);
      }
    }
    rows = {k.type, out, in, codes.data(), scales.data(), biases.data(), k.scale_type, k.group};
  }

  float scale_at(const std::vector<std::uint8_t>& list, std::size_t i) const {
    float value = 0;
    std::uint16_t bits = 0;
    if (kind.scale_type == WeightType::kF32) {
      std::memcpy(&value, list.data() + 4 * i, 4);
      return value;
    }
    std::memcpy(&bits, list.data() + 2 * i, 2);
    return kind.scale_type == WeightType::kF16 ? base::f16_to_f32(bits) : base::bf16_to_f32(bits);
  }

  std::vector<float> row(std::size_t index) const {
    std::vector<float> out(rows.in);
    if (!is_affine(kind)) {
      dequantise_row(kind.type, codes.data() + index * row_bytes(kind.type, rows.in), rows.in, out.data());
      return out;
    }
    for (std::size_t i = 0; i < rows.in; ++i) {
      const std::size_t at = index * rows.in + i, group = index * (rows.in / kind.group) + i / kind.group;
      const int code = kind.type == WeightType::kAffine8 ? codes[at] : codes[at / 2] >> (at % 2 * 4) & 15;
      out[i] = scale_at(scales, group) * static_cast<float>(code) + scale_at(biases, group);
    }
    return out;
  }

  Kind kind;
  std::vector<std::uint8_t> codes, scales, biases;
  QuantisedRows rows;
};

struct Packed {
  explicit Packed(const File& file, std::span<const std::uint32_t> source_row = {})
      : bytes(
            panel_bytes(file.kind.type, file.rows.out, file.rows.in, file.kind.group, file.kind.scale_type)) {
    base::ThreadPool pool(2);
    weight = pack_panels(pool, file.rows, source_row, bytes.span());
  }
  Aligned bytes;
  Weight weight;
};

// Activations rounded by a variant, with their values read back.
struct Rounded {
  Rounded(const Table& ops, const std::vector<float>& x, std::size_t rows, std::size_t cols)
      : buffer(int8_rows_bytes(rows, cols)), view(int8_rows_in(buffer.span(), rows, cols)) {
    ops.quantise_rows({x.data(), rows, cols}, view, 0, 0);
  }
  double value(std::size_t r, std::size_t i) const {
    const Int8Rows group = view.group(r / 16);
    const std::size_t at = i / 32 * group.rows + r % 16;
    return double{group.scales[at]} * group.codes[at * 32 + i % 32];
  }
  Aligned buffer;
  Int8Rows view;
};

class PanelVariant : public testing::TestWithParam<const Table*> {
 protected:
  const Table& ops() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Panels, PanelVariant, testing::ValuesIn(available().begin(), available().end()),
                         [](const auto& variant) { return std::string(variant.param->name); });

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

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

TEST_P(PanelVariant, ProductsMatchDoublePrecisionOnRoundedActivations) {
  for (const Kind& kind : kKinds) {
    for (const std::size_t units : {1, 5}) {
      for (const std::size_t rows : {1, 2, 7, 16, 21}) {
        const File file(kind, 37, units * unit(kind), 4);
        const Packed packed(file);
        const std::size_t in = file.rows.in, out = file.rows.out;
        const Rounded x(ops(), random_floats(rows * in, 5), rows, in);
        std::vector<float> y(rows * out);
        ops().panel_matmul_range(packed.weight, x.view, {y.data(), rows, out}, 0, out);
        for (std::size_t o = 0; o < out; ++o) {
          const std::vector<float> w = file.row(o);
          for (std::size_t r = 0; r < rows; ++r) {
            double expected = 0, magnitude = 1e-30;
            for (std::size_t i = 0; i < in; ++i) {
              expected += x.value(r, i) * w[i];
              magnitude += std::abs(x.value(r, i) * w[i]);
            }
            // scale * code and min may be far larger than their sum.
            if (kind.type != WeightType::kQ4_0 && kind.type != WeightType::kQ8_0) magnitude *= 8;
            ASSERT_NEAR(y[r * out + o], expected, kSumTolerance * magnitude)
                << name_of(kind) << " in " << in << " rows " << rows << " row " << r << " output " << o;
          }
        }
      }
    }
  }
}

TEST_P(PanelVariant, ProductsOfPanelsHaveTheBitsOfScalarForAnyNumberOfRows) {
  constexpr std::size_t kMostRows = 70;
  for (const Kind& kind : kKinds) {
    // 12 panels, with few rows side by side as eight and four, and 3; blocks in whole phases of eight or not,
    // in pairs or not.
    for (const auto& [in, out] :
         {std::pair<std::size_t, std::size_t>{256, 189}, {1280, 45}, {288, 189}, {1376, 45}}) {
      if (in % unit(kind) != 0) continue;
      const File file(kind, out, in, 6);
      const Packed packed(file);
      const std::vector<float> x = random_floats(kMostRows * file.rows.in, 7);
      std::vector<float> expected(kMostRows * out);
      const Rounded all(*find("scalar"), x, kMostRows, file.rows.in);
      find("scalar")->panel_matmul_range(packed.weight, all.view, {expected.data(), kMostRows, out}, 0, out);
      for (std::size_t rows = 1; rows <= kMostRows; rows += rows < 20 ? 1 : 7) {
        const Rounded rounded(ops(), x, rows, file.rows.in);
        std::vector<float> y(rows * out);
        ops().panel_matmul_range(packed.weight, rounded.view, {y.data(), rows, out}, 0, out);
        ASSERT_EQ(0, std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)))
            << name_of(kind) << " in " << file.rows.in << " rows " << rows;
      }
    }
  }
}

// Every code and every activation as far from zero as they come, and of one sign in a row.
TEST_P(PanelVariant, TheLargestSumsHaveTheBitsOfScalar) {
  const std::size_t in = 512, out = 32, most_rows = 20;
  std::vector<float> x(most_rows * in);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i / in % 3 == 0 ? -1.0f : 1.0f;
  for (const Kind& kind : kKinds) {
    for (const std::uint8_t code : {0x00, 0xff, 0x80, 0x7f}) {
      File file(kind, out, in, 18);
      const bool ggml = !is_affine(kind);
      if (ggml && kind.type != WeightType::kQ4_0 && kind.type != WeightType::kQ8_0) continue;
      for (std::size_t i = 0; i < file.codes.size(); ++i) {
        if (!ggml || i % block_bytes(kind.type) >= sizeof(std::uint16_t)) file.codes[i] = code;  // not scales
      }
      const Packed packed(file);
      for (std::size_t rows = 1; rows <= most_rows; ++rows) {
        const Rounded rounded(ops(), x, rows, in);
        std::vector<float> y(rows * out), expected(rows * out);
        ops().panel_matmul_range(packed.weight, rounded.view, {y.data(), rows, out}, 0, out);
        find("scalar")->panel_matmul_range(packed.weight, rounded.view, {expected.data(), rows, out}, 0, out);
        ASSERT_TRUE(same(y, expected)) << name_of(kind) << " code " << int{code} << " rows " << rows;
      }
    }
  }
}

TEST_P(PanelVariant, ProductsOfPanelsWriteOnlyTheirRangeAndHonourStrides) {
  const std::size_t out = 141, stride = 151;
  for (const Kind& kind : kKinds) {
    const File file(kind, out, 256, 8);
    const Packed packed(file);
    for (const std::size_t rows : {1, 18}) {
      const Rounded x(ops(), random_floats(rows * 256, 9), rows, 256);
      std::vector<float> whole(rows * out), y(rows * stride);
      ops().panel_matmul_range(packed.weight, x.view, {whole.data(), rows, out}, 0, out);
      for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{16, 32}, {32, out}, {0, 128}}) {
        std::fill(y.begin(), y.end(), -1.0f);
        ops().panel_matmul_range(packed.weight, x.view, {y.data(), rows, out, stride}, first, last);
        for (std::size_t i = 0; i < y.size(); ++i) {
          const std::size_t r = i / stride, o = i % stride;
          ASSERT_EQ(y[i], o >= first && o < last ? whole[r * out + o] : -1.0f)
              << name_of(kind) << " row " << r << " output " << o << " from " << first;
        }
      }
    }
  }
}

TEST_P(PanelVariant, ANumberlessRowGivesNanInAllItsProductsAndNowhereElse) {
  const std::size_t rows = 17, out = 20, in = 512;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const Kind& kind : kKinds) {
      const File file(kind, out, in, 10);
      const Packed packed(file);
      std::vector<float> values = random_floats(rows * in, 11);
      values[5 * in + 100] = bad;
      values[16 * in + 511] = bad;
      const Rounded x(ops(), values, rows, in);
      std::vector<float> y(rows * out);
      ops().panel_matmul_range(packed.weight, x.view, {y.data(), rows, out}, 0, out);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t o = 0; o < out; ++o) {
          ASSERT_EQ(std::isnan(y[r * out + o]), r == 5 || r == 16) << name_of(kind) << " " << r;
        }
      }
    }
  }
}

TEST_P(PanelVariant, QuantisedAndPlainProductsShareAForkAndDoNotDependOnThreads) {
  const std::size_t in = 1024, out = 300;
  const File file({WeightType::kQ4_0}, out, in, 12), other({WeightType::kQ6K}, out, in, 13);
  const Packed packed(file), packed_other(other);
  const std::vector<float> plain = random_floats(out * in, 14);
  const Weight plain_weight = {plain.data(), WeightType::kF32, out, in};
  base::ThreadPool one(1), two(2), five(5);
  for (const std::size_t rows : {1, 16, 40}) {
    const std::vector<float> x = random_floats(rows * in, 15);
    const auto products = [&](base::ThreadPool& pool) {
      std::vector<float> y(3 * rows * out);
      const Product list[] = {{packed.weight, {y.data(), rows, out}},
                              {plain_weight, {y.data() + rows * out, rows, out}},
                              {packed_other.weight, {y.data() + 2 * rows * out, rows, out}}};
      matmul_all({&ops(), &pool}, list, {x.data(), rows, in});
      return y;
    };
    std::vector<float> alone(3 * rows * out);
    const Rounded rounded(ops(), x, rows, in);
    ops().panel_matmul_range(packed.weight, rounded.view, {alone.data(), rows, out}, 0, out);
    ops().matmul_range(plain_weight, {x.data(), rows, in}, {alone.data() + rows * out, rows, out}, 0, out);
    ops().panel_matmul_range(packed_other.weight, rounded.view, {alone.data() + 2 * rows * out, rows, out}, 0,
                             out);
    for (base::ThreadPool* pool : {&one, &two, &five}) EXPECT_TRUE(same(products(*pool), alone)) << rows;
  }
}

TEST_P(PanelVariant, RepeatedProductsUseTheSameMemory) {
  const std::size_t in = 1024, out = 64;
  const File file({WeightType::kQ4_0}, out, in, 16);
  const Packed packed(file);
  const std::vector<float> x = random_floats(16 * in, 17);
  std::vector<float> y(16 * out);
  base::ThreadPool pool(2);
  matmul({&ops(), &pool}, packed.weight, {x.data(), 16, in}, {y.data(), 16, out});
  const std::byte* before = pool.scratch(1).data();
  for (const std::size_t rows : {1, 16, 3}) {
    matmul({&ops(), &pool}, packed.weight, {x.data(), rows, in}, {y.data(), rows, out});
    EXPECT_EQ(pool.scratch(1).data(), before) << rows;
  }
}

}  // namespace
}  // namespace kakeya::kernels
