// Products of bf16 weights by bf16 dot products: their bits are those of the manual's description.
#include "kernels/split_rows.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/half.h"

namespace kakeya::kernels {
namespace {

using base::bf16_to_f32;

std::vector<float> normal_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& v : out) v = normal(random);
  return out;
}

struct Matrix {
  std::vector<std::uint16_t> bits;
  Weight weight;
  // The first value stands at an odd place of a cache line, as those of a file do.
  Matrix(std::size_t out, std::size_t in, unsigned seed) : bits(out * in + 4) {
    const std::vector<float> values = normal_floats(out * in, seed);
    for (std::size_t i = 0; i < values.size(); ++i) bits[i + 4] = base::f32_to_bf16(values[i]);
    weight = {bits.data() + 4, WeightType::kBf16, out, in};
  }
  std::uint16_t at(std::size_t output, std::size_t input) const {
    return bits[4 + output * weight.in + input];
  }
};

std::vector<const Table*> variants() {
  std::vector<const Table*> out;
  for (const Table* table : available()) {
    if (table->split_matmul_range != nullptr) out.push_back(table);
  }
  return out;
}

TEST(TakesSplitRows, OnlyBf16OfManyInputsAndWholeSteps) {
  for (const Table* ops : available()) {
    const auto takes = [&](WeightType type, std::size_t in) {
      return takes_split_rows(*ops, {nullptr, type, 16, in});
    };
    EXPECT_EQ(takes(WeightType::kBf16, 1024), ops->split_matmul_range != nullptr) << ops->name;
    EXPECT_FALSE(takes(WeightType::kBf16, 992) || takes(WeightType::kBf16, 1040)) << ops->name;
    EXPECT_FALSE(takes(WeightType::kF16, 1024) || takes(WeightType::kF32, 1024)) << ops->name;
  }
}

class Split {
 public:
  Split(const Table& ops, Rows<const float> x) : parts_(split_rows_bytes(x.rows, x.cols) / 2 + 32, 0x7fff) {
    void* p = parts_.data();
    std::size_t room = 2 * parts_.size();
    const std::size_t bytes = split_rows_bytes(x.rows, x.cols);
    auto* at = static_cast<std::byte*>(std::align(64, bytes, p, room));
    rows_ = split_rows_in({at, bytes}, x.rows, x.cols);
    ops.split_rows(x, rows_, 0, 0);
  }
  const SplitRows& rows() const { return rows_; }
  float value(std::size_t row, std::size_t col, std::size_t part) const {
    const std::size_t width = rows_.width(), step = (col / 32 * SplitRows::kParts + part) * 32 * width;
    return bf16_to_f32(rows_.group(row / 16)[step + col % 32 / 2 * 2 * width + row % 16 * 2 + col % 2]);
  }

 private:
  std::vector<std::uint16_t> parts_;
  SplitRows rows_;
};

// 32 inputs from `first` on of one part, as TDPBF16PS sums them.
float dot_32(const Matrix& w, std::size_t output, const Split& x, std::size_t row, std::size_t part,
             std::size_t first) {
  float sums[2] = {0, 0};
  for (std::size_t i = first; i < first + 32; ++i) {
    float& sum = sums[i % 2];
    sum = std::fma(bf16_to_f32(w.at(output, i)), x.value(row, i, part), sum);
  }
  return sums[0] + sums[1];
}

class SplitRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (variants().empty()) GTEST_SKIP() << "this CPU has no AMX for bf16";
  }
};

TEST_F(SplitRowsTest, PartsAddUpToTheValue) {
  constexpr std::size_t kRows = 21, kCols = 96;
  std::vector<float> x = normal_floats(kRows * kCols, 2);
  for (std::size_t i = 0; i < x.size(); i += 3) x[i] *= 0x1p-70f;
  for (std::size_t i = 1; i < x.size(); i += 3) x[i] *= 0x1p+120f;
  x[0] = std::numeric_limits<float>::max();
  for (const Table* ops : variants()) {
    const Split split(*ops, {x.data(), kRows, kCols});
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < kCols; ++i) {
        const float value = x[r * kCols + i];
        ASSERT_EQ(split.value(r, i, 0),
                  std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xffff0000u));
        ASSERT_EQ(split.value(r, i, 0) + split.value(r, i, 1) + split.value(r, i, 2), value) << ops->name;
      }
    }
  }
}

TEST_F(SplitRowsTest, ProductsHaveTheBitsOfTheManualsDescription) {
  // One step, a slice, several slices and a part of one; whole and partial tiles of outputs; pages apart.
  const std::pair<std::size_t, std::size_t> shapes[] = {{37, 32}, {300, 512}, {16, 1056}, {18, 2048}};
  for (const auto& [out, in] : shapes) {
    const Matrix w(out, in, 3);
    for (const std::size_t rows : {1, 2, 5, 16, 17, 32, 33, 40, 64, 290}) {
      if (rows > 64 && in > 512) continue;
      const std::vector<float> x = normal_floats(rows * in, 4);
      for (const Table* ops : variants()) {
        const Split split(*ops, {x.data(), rows, in});
        // From an output on that starts no tile; what is left alone stays as it is.
        const std::size_t first = out > 16 ? 8 : 0, stride = out + 3;
        std::vector<float> y(rows * stride, -7.0f);
        ops->split_matmul_range(w.weight, split.rows(), {y.data(), rows, out, stride}, first, out);
        for (std::size_t r = 0; r<rows; r += rows> 64 ? 17 : 1) {
          for (std::size_t o = 0; o<stride; o += rows> 64 ? 3 : 1) {
            float expected = o < first || o >= out ? -7.0f : 0.0f;
            for (std::size_t i = 0; o >= first && o < out && i < in; i += 32) {
              for (std::size_t part = 0; part < SplitRows::kParts; ++part) {
                expected += dot_32(w, o, split, r, part, i);
              }
            }
            ASSERT_EQ(y[r * stride + o], expected) << ops->name << " " << in << " " << rows << " " << o;
          }
        }
      }
    }
  }
}

TEST_F(SplitRowsTest, ValuesThatAreNoNumbersReachEveryOutputOfTheirRowAlone) {
  constexpr std::size_t kRows = 4, kIn = 64, kOut = 20;
  const Matrix w(kOut, kIn, 5);
  std::vector<float> x = normal_floats(kRows * kIn, 6);
  x[5] = std::numeric_limits<float>::infinity();
  x[kIn + 63] = std::numeric_limits<float>::quiet_NaN();
  x[2 * kIn] = std::bit_cast<float>(0x7f800001u);  // a NaN whose upper half is infinity
  for (const Table* ops : variants()) {
    const Split split(*ops, {x.data(), kRows, kIn});
    std::vector<float> y(kRows * kOut);
    ops->split_matmul_range(w.weight, split.rows(), {y.data(), kRows, kOut}, 0, kOut);
    for (std::size_t i = 0; i < y.size(); ++i) {
      EXPECT_EQ(std::isnan(y[i]), i / kOut < 3) << ops->name << " " << i;
    }
  }
}

}  // namespace
}  // namespace kakeya::kernels
