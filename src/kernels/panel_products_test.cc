// Products of panels agree with double precision on the dequantised weights and the rounded activations, and
// every variant gives the bits of scalar.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/panels.h"
#include "kernels/test_panels.h"

namespace kakeya::kernels {
namespace {

// Error of a sum of block sums in fp32, relative to the sum of the magnitudes of its terms.
constexpr double kSumTolerance = 2e-6;

class PanelProducts : public PanelVariant {};
INSTANTIATE_TEST_SUITE_P(Panels, PanelProducts, testing::ValuesIn(available().begin(), available().end()),
                         [](const auto& variant) { return std::string(variant.param->name); });

TEST_P(PanelProducts, ProductsMatchDoublePrecisionOnRoundedActivations) {
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

TEST_P(PanelProducts, ProductsOfPanelsHaveTheBitsOfScalarForAnyNumberOfRows) {
  constexpr std::size_t kMostRows = 70;
  for (const Kind& kind : kKinds) {
    // 12 panels, with few rows side by side as fours, and 3; blocks in whole phases of eight or not,
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
TEST_P(PanelProducts, TheLargestSumsHaveTheBitsOfScalar) {
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

TEST_P(PanelProducts, ProductsOfPanelsWriteOnlyTheirRangeAndHonourStrides) {
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

TEST_P(PanelProducts, ANumberlessRowGivesNanInAllItsProductsAndNowhereElse) {
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

TEST_P(PanelProducts, QuantisedAndPlainProductsShareAForkAndDoNotDependOnThreads) {
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

TEST_P(PanelProducts, RepeatedProductsUseTheSameMemory) {
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
