// Every variant against loops in double precision, and the batch invariance everything else stands on.
#include "kernels/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "base/half.h"

namespace kakeya::kernels {
namespace {

// Error of a sum of n products in fp32, relative to the sum of their magnitudes.
constexpr double kSumTolerance = 1e-6;
// Error of exp and what is made of it, relative.
constexpr double kExpTolerance = 1e-6;

// 0, 1, odd, around the vector widths (4, 8, 16 lanes and their unrolled multiples), and large.
const std::size_t kLengths[] = {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 1000};

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

// Values one float past the start of an allocation: never aligned to a vector, and a sanitizer sees any
// access beyond the last.
class Misaligned {
 public:
  explicit Misaligned(const std::vector<float>& values) : buffer_(values.size() + 1) {
    std::copy(values.begin(), values.end(), buffer_.begin() + 1);
  }
  explicit Misaligned(std::size_t n) : buffer_(n + 1) {}
  float* data() { return buffer_.data() + 1; }
  float& operator[](std::size_t i) { return buffer_[i + 1]; }

 private:
  std::vector<float> buffer_;
};

// A weight matrix of any type, one element past the start of its allocation.
struct Matrix {
  Matrix(WeightType type, std::size_t out, std::size_t in, unsigned seed) {
    const std::vector<float> random = random_floats(out * in, seed);
    bytes.resize((out * in + 1) * bytes_per_weight(type));
    std::byte* start = bytes.data() + bytes_per_weight(type);
    for (std::size_t i = 0; i < random.size(); ++i) {
      const std::uint16_t half =
          type == WeightType::kBf16 ? base::f32_to_bf16(random[i]) : base::f32_to_f16(random[i]);
      if (type == WeightType::kF32) std::memcpy(start + 4 * i, &random[i], 4);
      if (type != WeightType::kF32) std::memcpy(start + 2 * i, &half, 2);
      values.push_back(type == WeightType::kF32    ? random[i]
                       : type == WeightType::kBf16 ? base::bf16_to_f32(half)
                                                   : base::f16_to_f32(half));
    }
    weight = {start, type, out, in};
  }
  std::vector<std::byte> bytes;
  std::vector<float> values;
  Weight weight;
};

class Variant : public testing::TestWithParam<const Table*> {
 protected:
  const Table& ops() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Kernels, Variant, testing::ValuesIn(available().begin(), available().end()),
                         [](const auto& variant) { return std::string(variant.param->name); });

TEST(Variants, ScalarComesFirstAndEveryVariantIsFoundByItsName) {
  ASSERT_FALSE(available().empty());
  EXPECT_STREQ(available()[0]->name, "scalar");
  for (const Table* table : available()) EXPECT_EQ(find(table->name), table);
  EXPECT_EQ(find("no such cpu"), nullptr);
  EXPECT_EQ(&best(), available().back());
}

TEST(Variants, ThisMachineRunsMoreThanScalar) {
#if defined(__x86_64__) || defined(__aarch64__)
  EXPECT_GT(available().size(), 1u);
#endif
}

TEST_P(Variant, DotMatchesDoublePrecision) {
  for (const std::size_t n : kLengths) {
    Misaligned a(random_floats(n, 1)), b(random_floats(n, 2));
    double expected = 0, magnitude = 1e-30;
    for (std::size_t i = 0; i < n; ++i) {
      expected += double{a[i]} * b[i];
      magnitude += std::abs(double{a[i]} * b[i]);
    }
    EXPECT_NEAR(ops().dot(a.data(), b.data(), n), expected, kSumTolerance * magnitude) << n;
  }
}

TEST_P(Variant, AxpyAddsAMultiple) {
  for (const std::size_t n : kLengths) {
    Misaligned x(random_floats(n, 1)), y(random_floats(n, 2)), before = y;
    ops().axpy(0.7f, x.data(), y.data(), n);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], double{before[i]} + double{0.7f} * x[i], 1e-6) << n;
  }
}

TEST_P(Variant, MatmulMatchesDoublePrecisionForEveryWeightType) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBf16}) {
    for (const std::size_t in : kLengths) {
      for (const std::size_t rows : {1, 2, 3, 4, 5, 8, 11, 16}) {
        const std::size_t out = 13;
        const Matrix matrix(type, out, in, 3);
        Misaligned x(random_floats(rows * in, 4)), y(rows * out);
        ops().matmul_range(matrix.weight, {x.data(), rows, in}, {y.data(), rows, out}, 0, out);
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t o = 0; o < out; ++o) {
            double expected = 0, magnitude = 1e-30;
            for (std::size_t i = 0; i < in; ++i) {
              expected += double{x[r * in + i]} * matrix.values[o * in + i];
              magnitude += std::abs(double{x[r * in + i]} * matrix.values[o * in + i]);
            }
            ASSERT_NEAR(y[r * out + o], expected, kSumTolerance * magnitude)
                << to_string(type) << " in " << in << " rows " << rows << " row " << r << " output " << o;
          }
        }
      }
    }
  }
}

TEST_P(Variant, MatmulWritesOnlyItsRangeAndHonoursStrides) {
  const std::size_t in = 20, rows = 5, x_stride = 23, y_stride = 17;
  const Matrix matrix(WeightType::kBf16, 13, in, 5);
  std::vector<float> x = random_floats(rows * x_stride, 6), y(rows * y_stride, -1.0f), dense(rows * 13);
  ops().matmul_range(matrix.weight, {x.data(), rows, in, x_stride}, {y.data(), rows, 13, y_stride}, 3, 11);
  ops().matmul_range(matrix.weight, {x.data(), rows, in, x_stride}, {dense.data(), rows, 13}, 0, 13);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < y_stride; ++o) {
      EXPECT_EQ(y[r * y_stride + o], o >= 3 && o < 11 ? dense[r * 13 + o] : -1.0f) << r << " " << o;
    }
  }
}

TEST_P(Variant, ARowsProductDoesNotDependOnItsNeighbours) {
  const std::size_t rows = 19, out = 37;
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBf16}) {
    for (const std::size_t in : {1, 16, 67, 256}) {
      const Matrix matrix(type, out, in, 7);
      const std::vector<float> x = random_floats(rows * in, 8);
      std::vector<float> together(rows * out), alone(out);
      for (std::size_t count = 1; count <= rows; ++count) {
        ops().matmul_range(matrix.weight, {x.data(), count, in}, {together.data(), count, out}, 0, out);
        for (std::size_t r = 0; r < count; ++r) {
          ops().matmul_range(matrix.weight, {x.data() + r * in, 1, in}, {alone.data(), 1, out}, 0, out);
          ASSERT_EQ(0, std::memcmp(alone.data(), together.data() + r * out, out * sizeof(float)))
              << to_string(type) << " in " << in << " rows " << count << " row " << r;
        }
      }
    }
  }
}

TEST_P(Variant, AProductDoesNotDependOnTheNumberOfThreads) {
  const std::size_t rows = 7, in = 256, out = 1003;
  const Matrix matrix(WeightType::kBf16, out, in, 9);
  const std::vector<float> x = random_floats(rows * in, 10);
  base::ThreadPool one(1), two(2), five(5);
  std::vector<float> expected(rows * out), y(rows * out);
  matmul({&ops(), &one}, matrix.weight, {x.data(), rows, in}, {expected.data(), rows, out});
  for (base::ThreadPool* pool : {&two, &five}) {
    std::fill(y.begin(), y.end(), 0.0f);
    matmul({&ops(), pool}, matrix.weight, {x.data(), rows, in}, {y.data(), rows, out});
    EXPECT_EQ(0, std::memcmp(expected.data(), y.data(), y.size() * sizeof(float)));
  }
}

TEST_P(Variant, ProductsInOneForkEqualProductsOneByOne) {
  const std::size_t rows = 5, in = 256;
  const Matrix a(WeightType::kBf16, 501, in, 13), b(WeightType::kF32, 8, in, 14),
      c(WeightType::kF16, 300, in, 15);
  const std::vector<float> x = random_floats(rows * in, 16);
  base::ThreadPool one(1), three(3);
  for (base::ThreadPool* pool : {&one, &three}) {
    std::vector<float> together(rows * (501 + 8 + 300)), alone(together.size());
    const auto products = [&](std::vector<float>& y) {
      return std::vector<Product>{{a.weight, {y.data(), rows, 501}},
                                  {b.weight, {y.data() + rows * 501, rows, 8}},
                                  {c.weight, {y.data() + rows * 509, rows, 300}}};
    };
    matmul_all({&ops(), pool}, products(together), {x.data(), rows, in});
    for (const Product& p : products(alone)) matmul({&ops(), &one}, p.w, {x.data(), rows, in}, p.y);
    EXPECT_EQ(together, alone);
  }
}

TEST_P(Variant, RmsNormMatchesDoublePrecisionAlsoInPlace) {
  for (const std::size_t n : kLengths) {
    if (n == 0) continue;
    Misaligned x(random_floats(n, 11)), weight(random_floats(n, 12)), out(n);
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += double{x[i]} * x[i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-6);
    ops().rms_norm(x.data(), weight.data(), 1e-6f, out.data(), n);
    for (std::size_t i = 0; i < n; ++i) {
      const double expected = x[i] * scale * weight[i];
      EXPECT_NEAR(out[i], expected, 1e-6 * std::abs(expected) + 1e-12) << n;
    }
    ops().rms_norm(x.data(), weight.data(), 1e-6f, x.data(), n);
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(x[i], out[i]) << n;
  }
}

TEST_P(Variant, RopeTurnsPairsByTheirAngle) {
  for (const std::size_t n : {2, 6, 16, 34, 64, 128, 130}) {
    const std::size_t half = n / 2;
    Misaligned head(random_floats(n, 13)), cosines(half), sines(half), before = head;
    for (std::size_t i = 0; i < half; ++i) {
      cosines[i] = static_cast<float>(std::cos(0.3 * static_cast<double>(i) + 0.1));
      sines[i] = static_cast<float>(std::sin(0.3 * static_cast<double>(i) + 0.1));
    }
    ops().rope(head.data(), cosines.data(), sines.data(), n);
    for (std::size_t i = 0; i < half; ++i) {
      const double a = before[i], b = before[i + half], c = cosines[i], s = sines[i];
      EXPECT_NEAR(head[i], a * c - b * s, 1e-6) << n;
      EXPECT_NEAR(head[i + half], b * c + a * s, 1e-6) << n;
    }
  }
}

TEST_P(Variant, SoftmaxMatchesDoublePrecisionOverTheWholeRangeOfExp) {
  for (const float spread : {1.0f, 30.0f, 1000.0f}) {
    for (const std::size_t n : kLengths) {
      if (n == 0) continue;
      Misaligned x(random_floats(n, 14));
      for (std::size_t i = 0; i < n; ++i) x[i] *= spread;
      Misaligned before = x;
      double largest = x[0], total = 0;
      for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, double{x[i]});
      for (std::size_t i = 0; i < n; ++i) total += std::exp(x[i] - largest);
      ops().softmax(x.data(), n);
      for (std::size_t i = 0; i < n; ++i) {
        // The difference to the largest is rounded to fp32, which moves exp by that error.
        const double expected = std::exp(before[i] - largest) / total;
        EXPECT_NEAR(x[i], expected, (kExpTolerance + 1e-7 * spread) * expected + 1e-35) << n << " " << spread;
      }
    }
  }
}

TEST_P(Variant, ExpSumLeavesTheExponentialsAndReturnsTheirSum) {
  for (const std::size_t n : kLengths) {
    Misaligned x(random_floats(n, 15)), before = x;
    double expected = 0;
    for (std::size_t i = 0; i < n; ++i) expected += std::exp(double{x[i]} - 0.25);
    EXPECT_NEAR(ops().exp_sum(x.data(), 0.25f, n), expected, kExpTolerance * expected);
    for (std::size_t i = 0; i < n; ++i) {
      const double e = std::exp(double{before[i]} - 0.25);
      EXPECT_NEAR(x[i], e, kExpTolerance * e) << n;
    }
  }
}

TEST_P(Variant, RowMaxFindsTheLargestAtEveryPlace) {
  for (const std::size_t n : kLengths) {
    for (std::size_t at = 0; at < n; ++at) {
      std::vector<float> values(n, -3.0f);
      values[at] = -2.0f;
      Misaligned x(values);
      EXPECT_EQ(ops().row_max(x.data(), n), -2.0f) << n << " " << at;
    }
  }
}

TEST_P(Variant, RowMaxReportsANanAtEveryPlace) {
  for (const std::size_t n : {1, 4, 17, 35, 64}) {
    for (std::size_t at = 0; at < n; ++at) {
      Misaligned x(random_floats(n, 16));
      x[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(ops().row_max(x.data(), n))) << n << " " << at;
    }
  }
}

TEST_P(Variant, SiluMulMatchesDoublePrecisionAndSurvivesExtremes) {
  for (const std::size_t n : kLengths) {
    Misaligned gate(random_floats(n, 17)), up(random_floats(n, 18)), out(n);
    for (std::size_t i = 0; i < n; ++i) gate[i] *= 5;
    ops().silu_mul(gate.data(), up.data(), out.data(), n);
    for (std::size_t i = 0; i < n; ++i) {
      const double expected = gate[i] / (1 + std::exp(-double{gate[i]})) * up[i];
      EXPECT_NEAR(out[i], expected, kExpTolerance * std::abs(expected) + 1e-30) << n;
    }
  }
  std::vector<float> gate = {-1e4f, -200.0f, -100.0f, 100.0f, 1e4f}, up(5, 2.0f);
  ops().silu_mul(gate.data(), up.data(), gate.data(), 5);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(gate[i], 0.0f, 1e-30f);
  EXPECT_EQ(gate[3], 200.0f);
  EXPECT_EQ(gate[4], 2e4f);
}

TEST_P(Variant, HadamardIsTheSylvesterMatrixOverTheRootOfN) {
  for (std::size_t n = 1; n <= 512; n *= 2) {
    Misaligned x(random_floats(n, 19)), before = x;
    ops().hadamard(x.data(), n);
    for (std::size_t i = 0; i < n; ++i) {
      double expected = 0;  // H[i][j] = (-1)^popcount(i & j)
      for (std::size_t j = 0; j < n; ++j)
        expected += (__builtin_popcountll(i & j) % 2 == 0 ? 1 : -1) * before[j];
      EXPECT_NEAR(x[i], expected / std::sqrt(static_cast<double>(n)), 3e-6) << n;
    }
  }
}

TEST_P(Variant, HadamardIsItsOwnInverseAndKeepsLengths) {
  for (std::size_t n = 1; n <= 512; n *= 2) {
    Misaligned x(random_floats(n, 20)), before = x;
    double norm_before = 0, norm_after = 0;
    for (std::size_t i = 0; i < n; ++i) norm_before += double{x[i]} * x[i];
    ops().hadamard(x.data(), n);
    for (std::size_t i = 0; i < n; ++i) norm_after += double{x[i]} * x[i];
    EXPECT_NEAR(norm_after, norm_before, 1e-5 * norm_before) << n;
    ops().hadamard(x.data(), n);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(x[i], before[i], 2e-6) << n;
  }
}

TEST_P(Variant, HadamardGivesTheBitsOfScalar) {
  for (std::size_t n = 1; n <= 512; n *= 2) {
    Misaligned x(random_floats(n, 21)), expected = x;
    ops().hadamard(x.data(), n);
    find("scalar")->hadamard(expected.data(), n);
    EXPECT_EQ(0, std::memcmp(x.data(), expected.data(), n * sizeof(float))) << n;
  }
}

TEST_P(Variant, WeightedSumMatchesDoublePrecisionAndAddsToWhatIsThere) {
  for (const std::size_t dim : kLengths) {
    for (const std::size_t rows : {1, 3, 4, 8, 13}) {
      for (const std::size_t n : {1, 7, 32}) {
        const std::size_t stride = n + 3;
        Misaligned weights(random_floats(rows * stride, 22)), tile(random_floats(n * dim, 23));
        Misaligned y(random_floats(rows * dim, 24)), before = y, alone = y;
        ops().weighted_sum({weights.data(), rows, n, stride}, {tile.data(), n, dim}, {y.data(), rows, dim});
        for (std::size_t r = 0; r < rows; ++r) {
          ops().weighted_sum({weights.data() + r * stride, 1, n, stride}, {tile.data(), n, dim},
                             {alone.data() + r * dim, 1, dim});
          for (std::size_t d = 0; d < dim; ++d) {
            double expected = before[r * dim + d], magnitude = std::abs(expected);
            for (std::size_t j = 0; j < n; ++j) {
              expected += double{weights[r * stride + j]} * tile[j * dim + d];
              magnitude += std::abs(double{weights[r * stride + j]} * tile[j * dim + d]);
            }
            ASSERT_NEAR(y[r * dim + d], expected, kSumTolerance * magnitude)
                << dim << " " << rows << " " << n;
            ASSERT_EQ(y[r * dim + d], alone[r * dim + d]) << dim << " " << rows << " " << n;
          }
        }
      }
    }
  }
}

TEST_P(Variant, UnpackLevelsReadsCodesLowBitsFirst) {
  for (const int bits : {3, 4}) {
    const std::vector<float> levels = random_floats(std::size_t{1} << bits, 25);
    for (const std::size_t n : {0, 8, 16, 24, 32, 64, 128, 136}) {
      std::mt19937 random(26);
      // Each code is written bit by bit at its place.
      std::vector<std::uint8_t> packed(n * static_cast<std::size_t>(bits) / 8);
      std::vector<unsigned> codes(n);
      for (std::size_t i = 0; i < n; ++i) {
        codes[i] = random() % (1u << bits);
        for (int b = 0; b < bits; ++b) {
          const std::size_t at = i * static_cast<std::size_t>(bits) + static_cast<std::size_t>(b);
          if ((codes[i] >> b) & 1u)
            packed[at / 8] = static_cast<std::uint8_t>(packed[at / 8] | 1u << (at % 8));
        }
      }
      Misaligned out(n);
      ops().unpack_levels(packed.data(), bits, levels.data(), 1.5f, out.data(), n);
      for (std::size_t i = 0; i < n; ++i)
        EXPECT_EQ(out[i], levels[codes[i]] * 1.5f) << bits << " " << n << " " << i;
    }
  }
}

TEST_P(Variant, UnpackI8IsExact) {
  for (const std::size_t n : kLengths) {
    std::vector<std::int8_t> codes(n);
    for (std::size_t i = 0; i < n; ++i)
      codes[i] = static_cast<std::int8_t>(static_cast<int>(i * 37 % 256) - 128);
    Misaligned out(n);
    ops().unpack_i8(codes.data(), 0.3f, out.data(), n);
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(out[i], static_cast<float>(codes[i]) * 0.3f) << n;
  }
}

TEST_P(Variant, LoadRowConvertsEveryTypeExactly) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBf16}) {
    for (const std::size_t in : kLengths) {
      const Matrix matrix(type, 3, in, 27);
      Misaligned out(in);
      ops().load_row(matrix.weight, 2, out.data());
      for (std::size_t i = 0; i < in; ++i) EXPECT_EQ(out[i], matrix.values[2 * in + i]) << to_string(type);
    }
  }
}

TEST_P(Variant, LoadRowKeepsSubnormalHalves) {
  const std::uint16_t halves[] = {0x0001, 0x03ff, 0x8001, 0x0400, 0x7bff, 0xfbff, 0x0000, 0x8000,
                                  0x0001, 0x03ff, 0x8001, 0x0400, 0x7bff, 0xfbff, 0x0000, 0x8000};
  float out[16];
  ops().load_row({halves, WeightType::kF16, 1, 16}, 0, out);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(out[i], base::f16_to_f32(halves[i])) << i;
}

}  // namespace
}  // namespace kakeya::kernels
