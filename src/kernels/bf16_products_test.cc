// Products of bf16 codes: layouts, textbook sums in double precision, and that a row stands alone.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "base/half.h"
#include "kernels/code_products.h"
#include "kernels/kernels.h"

namespace kakeya::kernels {
namespace {

std::vector<const Bf16Products*> variants() {
  std::vector<const Bf16Products*> out;
  for (const Table* table : available()) {
    if (const Bf16Products* found = find_bf16_products(table->name)) out.push_back(found);
  }
  return out;
}

std::vector<float> normal_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& v : out) v = normal(random);
  return out;
}

class Bf16ProductsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (variants().empty()) GTEST_SKIP() << "this CPU has no AVX-512";
  }
};

// Bytes on a cache line's start, as the kernels want codes.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::size_t n) : data_(n + 64 / sizeof(T), T{}) {
    void* p = data_.data();
    std::size_t room = data_.size() * sizeof(T);
    at_ = static_cast<T*>(std::align(64, n * sizeof(T), p, room));
  }
  T* get() const { return at_; }

 private:
  std::vector<T> data_;
  T* at_;
};

struct Rounded {
  Aligned<std::int8_t> codes;
  std::vector<float> steps;
  PairRows rows;
  Rounded(const CodeProducts& products, const float* x, std::size_t count, std::size_t cols)
      : codes(4 * count * cols), steps(count) {
    rows = {count, cols, codes.get(), steps.data(), products.code_bytes};
    for (std::size_t r = 0; r < count; ++r) products.round(x + r * cols, nullptr, rows, r);
  }
};

// Rows of bf16 and what they stand for.
struct Stored {
  std::vector<std::uint16_t> bits;
  std::vector<double> values;
  Stored(std::size_t rows, std::size_t dim, unsigned seed) {
    for (const float x : normal_floats(rows * dim, seed)) {
      bits.push_back(base::f32_to_bf16(x));
      values.push_back(base::bf16_to_f32(bits.back()));
    }
  }
  Bf16Rows rows(std::size_t first, std::size_t count, std::size_t dim) const {
    return {reinterpret_cast<const std::byte*>(bits.data() + first * dim), count, dim, nullptr};
  }
};

std::uint16_t word(const std::int8_t* codes, std::size_t index) {
  std::uint16_t out = 0;
  std::memcpy(&out, codes + 2 * index, sizeof out);
  return out;
}

// 24 bits of each product; 16 bits or more of each float; a few sums of 24 bits.
constexpr double kTolerance = 3e-5;

TEST_F(Bf16ProductsTest, LayoutsPutEveryValueInItsPlaceAndZerosBeyondTheLastValue) {
  for (const Bf16Products* variant : variants()) {
    for (const std::size_t dim : {64, 128, 256}) {
      for (const std::size_t count : {1, 2, 17, 33, 63, 64}) {
        const Stored x(64, dim, 1);
        const Aligned<std::int8_t> keys(128 * dim), values(128 * dim);
        std::memset(values.get(), 0x7f, 128 * dim);  // NaN
        variant->keys(x.rows(0, count, dim), keys.get());
        variant->values(x.rows(0, count, dim), values.get());
        for (std::size_t r = 0; r < 64; ++r) {
          for (std::size_t d = 0; d < dim; ++d) {
            const std::size_t value =
                (r / 32 * (dim / 16) + d / 16) * 512 + r % 32 / 2 * 32 + d % 16 * 2 + r % 2;
            ASSERT_EQ(word(values.get(), value), r < count ? x.bits[r * dim + d] : 0) << r << " " << d;
            if (r >= count) continue;
            const std::size_t key = r / 16 * 16 * dim + d / 2 * 32 + r % 16 * 2 + d % 2;
            ASSERT_EQ(word(keys.get(), key), x.bits[r * dim + d]) << r << " " << d;
          }
        }
      }
    }
  }
}

TEST_F(Bf16ProductsTest, ScoresAreNearTheExactSumsAndARowStandsAlone) {
  constexpr std::size_t kKeys = 128;
  for (const Bf16Products* variant : variants()) {
    for (const std::size_t dim : {64, 128, 256}) {
      const Stored keys(kKeys, dim, 2);
      const Aligned<std::int8_t> codes(2 * kKeys * dim);
      for (std::size_t first = 0; first < kKeys; first += 64)
        variant->keys(keys.rows(first, 64, dim), codes.get() + 2 * first * dim);
      const std::vector<float> scales(kKeys, 1.0f), x = normal_floats(64 * dim, 3);
      for (const std::size_t rows : {1, 2, 3, 4, 7, 8, 15, 16, 17, 36, 64}) {
        const std::size_t n = 16 * (1 + rows % 8);
        const Rounded queries(variant->products, x.data(), rows, dim);
        std::vector<float> out(rows * (n + 3), -7.0f), alone(n);
        variant->products.scores(queries.rows, codes.get(), n, scales.data(), {out.data(), rows, n, n + 3});
        for (std::size_t r = 0; r < rows; ++r) {
          const Rounded query(variant->products, x.data() + r * dim, 1, dim);
          variant->products.scores(query.rows, codes.get(), n, scales.data(), {alone.data(), 1, n});
          for (std::size_t j = 0; j < n; ++j) {
            double sum = 0, size = 0;
            for (std::size_t d = 0; d < dim; ++d) {
              const double product = x[r * dim + d] * keys.values[j * dim + d];
              sum += product;
              size += std::abs(product);
            }
            ASSERT_NEAR(out[r * (n + 3) + j], sum, kTolerance * size) << variant->products.name << rows;
            ASSERT_EQ(out[r * (n + 3) + j], alone[j]) << variant->products.name << rows;
          }
          for (std::size_t j = n; j < n + 3; ++j) ASSERT_EQ(out[r * (n + 3) + j], -7.0f);
        }
      }
    }
  }
}

TEST_F(Bf16ProductsTest, SumsAreNearTheExactOnesAndARowStandsAloneAndZeroWeightsChangeNothing) {
  constexpr std::size_t kValues = 512;
  for (const Bf16Products* variant : variants()) {
    for (const std::size_t dim : {64, 128}) {
      const Stored values(kValues, dim, 4);
      const Aligned<std::int8_t> codes(2 * kValues * dim);
      for (std::size_t first = 0; first < kValues; first += 64)
        variant->values(values.rows(first, 64, dim), codes.get() + 2 * first * dim);
      std::vector<float> x = normal_floats(64 * kValues, 5);
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = i % kValues < 200 ? std::exp(20 * x[i] - 60) : 0.0f;  // down to nothing
      for (const std::size_t rows : {1, 3, 4, 8, 13, 16, 20, 64}) {
        const Rounded weights(variant->products, x.data(), rows, kValues);
        std::vector<float> out(rows * dim, -7.0f), alone(dim);
        variant->products.sums(weights.rows, codes.get(), {out.data(), rows, dim});
        for (std::size_t r = 0; r < rows; ++r) {
          const std::size_t n = r % 2 == 0 ? 256 : kValues;
          const Rounded weight(variant->products, x.data() + r * kValues, 1, n);
          variant->products.sums(weight.rows, codes.get(), {alone.data(), 1, dim});
          for (std::size_t d = 0; d < dim; ++d) {
            double sum = 0, size = 1e-36;  // what is below the smallest normal number may be lost
            for (std::size_t j = 0; j < 200; ++j) {
              const double product = x[r * kValues + j] * values.values[j * dim + d];
              sum += product;
              size += std::abs(product);
            }
            ASSERT_NEAR(out[r * dim + d], sum, kTolerance * size) << variant->products.name << rows;
            ASSERT_EQ(out[r * dim + d], alone[d]) << variant->products.name << rows;
          }
        }
      }
    }
  }
}

TEST_F(Bf16ProductsTest, StepsAreOneForNumbersAndNaNForRowsThatHoldNone) {
  std::vector<float> x(4 * 64, 0.0f);
  x[64] = 3.4e38f;
  x[65] = 3.4e38f;
  x[2 * 64 + 5] = std::numeric_limits<float>::quiet_NaN();
  x[3 * 64 + 63] = -std::numeric_limits<float>::infinity();
  for (const Bf16Products* variant : variants()) {
    const Rounded rounded(variant->products, x.data(), 4, 64);
    EXPECT_EQ(rounded.steps[0], 1.0f) << variant->products.name;
    EXPECT_EQ(rounded.steps[1], 1.0f) << variant->products.name;
    EXPECT_TRUE(std::isnan(rounded.steps[2]) && std::isnan(rounded.steps[3])) << variant->products.name;
  }
}

}  // namespace
}  // namespace kakeya::kernels
