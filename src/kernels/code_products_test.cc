// Products of codes: rounding to two bytes, textbook sums in 64-bit integers, and every variant bit for bit.
#include "kernels/code_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/kernels.h"

namespace kakeya::kernels {
namespace {

std::vector<const CodeProducts*> variants() {
  std::vector<const CodeProducts*> out = {&scalar_code_products()};
  for (const Table* table : available()) {
    if (const CodeProducts* found = find_code_products(table->name)) out.push_back(found);
  }
  return out;
}

struct Rounded {
  std::vector<std::int8_t> codes;
  std::vector<float> steps;
  PairRows rows;
  Rounded(const CodeProducts& products, const std::vector<float>& x, std::size_t count, std::size_t cols,
          const float* factors = nullptr)
      : codes(2 * (count + 7) / 8 * 8 * cols, 99), steps(count) {
    rows = {count, cols, codes.data(), steps.data()};
    for (std::size_t r = 0; r < count; ++r) products.round(x.data() + r * cols, factors, rows, r);
  }
  std::int64_t code(std::size_t r, std::size_t i) const {
    return std::int64_t{128} * rows.high(r)[i] + rows.low(r)[i];
  }
};

std::vector<float> normal_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& v : out) v = normal(random);
  return out;
}

struct Bytes {
  std::vector<std::int8_t> data;
  std::int8_t* at;
  Bytes(std::size_t n, unsigned seed, bool extreme) : data(n + 64) {
    void* p = data.data();
    std::size_t room = data.size();
    at = static_cast<std::int8_t*>(std::align(64, n, p, room));
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < n; ++i) {
      at[i] = static_cast<std::int8_t>(extreme ? 126 : static_cast<int>(random() % 253) - 126);
    }
  }
};

TEST(CodeProducts, RoundingKeepsFifteenBitsOfTheLargestValue) {
  const std::vector<float> x = normal_floats(11 * 128, 1), factors = normal_floats(128, 2);
  for (const CodeProducts* products : variants()) {
    for (const float* factor : {static_cast<const float*>(nullptr), factors.data()}) {
      const Rounded rounded(*products, x, 11, 128, factor);
      for (std::size_t r = 0; r < 11; ++r) {
        float largest = 0;
        for (std::size_t i = 0; i < 128; ++i)
          largest = std::max(largest, std::abs(x[r * 128 + i] * (factor != nullptr ? factor[i] : 1.0f)));
        for (std::size_t i = 0; i < 128; ++i) {
          const double want = x[r * 128 + i] * (factor != nullptr ? factor[i] : 1.0f);
          ASSERT_GE(rounded.rows.low(r)[i], -64);
          ASSERT_LE(rounded.rows.low(r)[i], 63);
          const double got = static_cast<double>(rounded.code(r, i)) * double{rounded.steps[r]};
          ASSERT_NEAR(got, want, 0.5001 / 16256 * largest) << products->name;
        }
      }
    }
  }
}

TEST(CodeProducts, RowsOfZerosAndRowsThatAreNoNumbers) {
  std::vector<float> x(4 * 64, 0.0f);
  x[64] = 1e-38f;
  x[2 * 64 + 5] = std::numeric_limits<float>::quiet_NaN();
  x[3 * 64 + 63] = -std::numeric_limits<float>::infinity();
  for (const CodeProducts* products : variants()) {
    const Rounded rounded(*products, x, 4, 64);
    for (std::size_t r = 0; r < 4; ++r) {
      for (std::size_t i = 0; i < 64; ++i) ASSERT_EQ(rounded.code(r, i), 0) << products->name << r;
    }
    EXPECT_EQ(rounded.steps[0], 0.0f);
    EXPECT_EQ(rounded.steps[1], 0.0f);
    EXPECT_TRUE(std::isnan(rounded.steps[2]) && std::isnan(rounded.steps[3])) << products->name;
  }
}

// Extreme codes: the largest sums that may occur.
TEST(CodeProducts, ScoresAreTheExactSumsInEveryVariant) {
  for (const std::size_t dim : {64, 128, 512}) {
    for (const std::size_t rows : {1, 2, 3, 4, 7, 8, 9, 20, 64}) {
      for (const bool extreme : {false, true}) {
        const std::size_t n = 16 * (1 + rows % 5);
        const Bytes keys(n * dim, 3, extreme);
        const std::vector<float> scales = normal_floats(n, 4);
        const std::vector<float> x =
            extreme ? std::vector<float>(rows * dim, 1.0f) : normal_floats(rows * dim, 5);
        for (const CodeProducts* products : variants()) {
          const Rounded queries(*products, x, rows, dim);
          std::vector<float> out(rows * (n + 3), -7.0f);
          products->scores(queries.rows, keys.at, n, scales.data(), {out.data(), rows, n, n + 3});
          for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t j = 0; j < n; ++j) {
              std::int64_t sum = 0;
              for (std::size_t i = 0; i < dim; ++i) {
                sum += queries.code(r, i) * keys.at[j / 16 * 16 * dim + i / 4 * 64 + j % 16 * 4 + i % 4];
              }
              ASSERT_EQ(out[r * (n + 3) + j], static_cast<float>(sum) * scales[j] * queries.steps[r])
                  << products->name << " rows " << rows << " dim " << dim;
            }
            for (std::size_t j = n; j < n + 3; ++j) ASSERT_EQ(out[r * (n + 3) + j], -7.0f);
          }
        }
      }
    }
  }
}

// Keys [n, dim] as blocks of 16 rows, their dims by fours.
std::vector<std::int8_t> in_blocks(const std::int8_t* keys, std::size_t n, std::size_t dim) {
  std::vector<std::int8_t> out(n * dim);
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = 0; i < dim; ++i)
      out[j / 16 * 16 * dim + i / 4 * 64 + j % 16 * 4 + i % 4] = keys[j * dim + i];
  }
  return out;
}

TEST(CodeProducts, ScoresOfKeysThatAreRowsHaveTheBitsOfThoseInBlocks) {
  bool any = false;
  for (const CodeProducts* products : variants()) {
    if (products->row_scores == nullptr) continue;
    any = true;
    for (const std::size_t dim : {64, 128, 512}) {
      for (const std::size_t rows : {1, 3, 4, 5, 8, 9, 20, 64}) {
        for (const bool extreme : {false, true}) {
          const std::size_t n = 16 * (1 + rows % 5);
          const Bytes keys(n * dim, 12, extreme);
          const std::vector<float> scales = normal_floats(n, 13);
          const std::vector<float> x =
              extreme ? std::vector<float>(rows * dim, 1.0f) : normal_floats(rows * dim, 14);
          const Rounded queries(*products, x, rows, dim);
          const Bytes columns(column_bytes(queries.rows), 15, false);
          products->columns(queries.rows, columns.at);
          std::vector<float> expected(rows * (n + 3), -7.0f), out = expected;
          scalar_code_products().scores(queries.rows, in_blocks(keys.at, n, dim).data(), n, scales.data(),
                                        {expected.data(), rows, n, n + 3});
          products->row_scores(queries.rows, columns.at, keys.at, n, scales.data(),
                               {out.data(), rows, n, n + 3});
          ASSERT_EQ(out, expected) << products->name << " rows " << rows << " dim " << dim;
        }
      }
    }
  }
  if (!any) GTEST_SKIP() << "no variant of this CPU takes keys as rows";
}

// Whatever calls lie between, in groups of every size.
TEST(CodeProducts, AUnitHeldAndStirredChangesNoBit) {
  bool any = false;
  for (const CodeProducts* products : variants()) {
    any = any || products->unit != nullptr;
    for (const std::size_t rows : {3, 8, 20}) {
      const std::vector<float> x = normal_floats(rows * 128, 16), scales = normal_floats(64, 17);
      const Bytes codes(64 * 128, 18, false);
      const Rounded both(*products, x, rows, 128);
      const PairRows weights = {rows, 64, both.rows.codes, both.rows.steps};
      const auto products_of = [&](bool stirred) {
        std::vector<float> out(rows * 64 + rows * 128);
        const auto stir = [&] {
          if (stirred && products->unit != nullptr) products->unit->stir();
        };
        stir();
        products->scores(both.rows, codes.at, 64, scales.data(), {out.data(), rows, 64});
        stir();
        products->sums(weights, codes.at, {out.data() + rows * 64, rows, 128});
        stir();
        return out;
      };
      const std::vector<float> expected = products_of(false);
      {
        const HeldUnit held(products, rows);
        EXPECT_EQ(products_of(true), expected) << products->name << " rows " << rows;
      }
      EXPECT_EQ(products_of(false), expected) << products->name << " after";
    }
  }
  if (!any) GTEST_SKIP() << "no unit of this CPU sleeps";
}

TEST(CodeProducts, SumsAreTheExactSumsInEveryVariant) {
  for (const std::size_t dim : {64, 128, 256}) {
    for (const std::size_t rows : {1, 2, 4, 5, 8, 15, 64}) {
      for (const bool extreme : {false, true}) {
        const std::size_t n = extreme ? kMostProducts : 64 * (1 + rows % 4);
        const Bytes values(n * dim, 6, extreme);
        const std::vector<float> x =
            extreme ? std::vector<float>(rows * n, 1.0f) : normal_floats(rows * n, 7);
        for (const CodeProducts* products : variants()) {
          const Rounded weights(*products, x, rows, n);
          std::vector<float> out(rows * dim, -7.0f);
          products->sums(weights.rows, values.at, {out.data(), rows, dim});
          for (std::size_t r = 0; r < rows; r += r + 5 < rows ? 5 : 1) {
            for (std::size_t i = 0; i < dim; ++i) {
              std::int64_t sum = 0;
              for (std::size_t j = 0; j < n; ++j) {
                const std::size_t tile = j / 64 * (dim / 16) + i / 16;
                sum += weights.code(r, j) * values.at[(tile * 16 + j % 64 / 4) * 64 + i % 16 * 4 + j % 4];
              }
              ASSERT_EQ(out[r * dim + i], static_cast<float>(sum) * weights.steps[r])
                  << products->name << " rows " << rows << " dim " << dim;
            }
          }
        }
      }
    }
  }
}

TEST(CodeProducts, ExponentialsAreNearTheTrueOnesAndAlikeInEveryVariant) {
  for (const std::size_t n : {1, 15, 16, 17, 40, 512}) {
    std::vector<float> x = normal_floats(n, 10);
    for (float& v : x) v *= 12.0f;
    x[n / 2] = -1000.0f;
    const float largest = *std::max_element(x.begin(), x.end());
    std::vector<float> expected = x;
    const float total = scalar_code_products().exp_sum(expected.data(), largest, n);
    for (std::size_t i = 0; i < n; ++i) {
      // x - largest is rounded to float before: so is its exponential, relative to its size.
      const double power = double{x[i]} - largest, want = std::exp(power);
      ASSERT_NEAR(expected[i], want, want * (4e-7 + 2e-7 * std::abs(power)) + 1.7e-38) << x[i] << " " << n;
    }
    for (const CodeProducts* products : variants()) {
      std::vector<float> got = x;
      got.push_back(-7.0f);
      EXPECT_EQ(products->exp_sum(got.data(), largest, n), total) << products->name << " " << n;
      EXPECT_EQ(got.back(), -7.0f);
      got.pop_back();
      EXPECT_EQ(got, expected) << products->name << " " << n;
    }
  }
}

TEST(CodeProducts, EveryVariantRoundsTheSameBits) {
  const std::vector<float> x = normal_floats(9 * 512, 8), factors = normal_floats(512, 9);
  const Rounded scalar(scalar_code_products(), x, 9, 512, factors.data());
  for (const CodeProducts* products : variants()) {
    const Rounded rounded(*products, x, 9, 512, factors.data());
    EXPECT_EQ(rounded.codes, scalar.codes) << products->name;
    EXPECT_EQ(rounded.steps, scalar.steps) << products->name;
  }
}

}  // namespace
}  // namespace kakeya::kernels
