#include "kernels/products.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kernels/blocks.h"

namespace kakeya::kernels {
namespace {

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& v : out) v = normal(random);
  return out;
}

struct Free {
  void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
};

// 64-byte aligned memory, all bytes equal at first.
struct Memory {
  explicit Memory(std::size_t n)
      : bytes(static_cast<std::byte*>(::operator new[](n, std::align_val_t{64}))), size(n) {
    std::memset(bytes.get(), 0x55, n);
  }
  std::span<std::byte> span() const { return {bytes.get(), size}; }
  std::unique_ptr<std::byte[], Free> bytes;
  std::size_t size;
};

// A float and a Q4_0 matrix of the same shape, and rows for them.
class Products : public testing::TestWithParam<std::size_t> {
 protected:
  static constexpr std::size_t kIn = 256, kOut = 1030;  // the last columns fill no step
  Products() {
    base::ThreadPool pool(1);
    std::vector<std::byte> blocks(kOut * row_bytes(WeightType::kQ4_0, kIn));
    for (std::size_t o = 0; o < kOut; ++o) {
      quantise_row(WeightType::kQ4_0, weights_.data() + o * kIn, kIn,
                   blocks.data() + o * row_bytes(WeightType::kQ4_0, kIn));
    }
    packed_ = pack_panels(pool, {WeightType::kQ4_0, kOut, kIn, blocks.data()}, {}, panels_.span());
  }
  const std::size_t rows_ = GetParam();
  const std::vector<float> weights_ = random_floats(kOut * kIn, 1), x_ = random_floats(rows_ * kIn, 2);
  const Weight plain_ = {weights_.data(), WeightType::kF32, kOut, kIn};
  const Memory panels_{panel_bytes(WeightType::kQ4_0, kOut, kIn, 0)};
  const Memory rounded_{int8_rows_bytes(rows_, kIn)};
  Weight packed_;
};

INSTANTIATE_TEST_SUITE_P(Rows, Products, testing::Values(1, 16, 21));

TEST_P(Products, AfterSeesTheValuesOfEveryColumnOnce) {
  base::ThreadPool one(1), three(3);
  std::vector<float> expected(2 * rows_ * kOut);
  matmul({&best(), &one}, plain_, {x_.data(), rows_, kIn}, {expected.data(), rows_, kOut});
  matmul({&best(), &one}, packed_, {x_.data(), rows_, kIn}, {expected.data() + rows_ * kOut, rows_, kOut});
  for (base::ThreadPool* pool : {&one, &three}) {
    const Compute compute = {&best(), pool};
    std::vector<float> y(2 * rows_ * kOut);
    const Product products[] = {{plain_, {y.data(), rows_, kOut}},
                                {packed_, {y.data() + rows_ * kOut, rows_, kOut}}};
    std::vector<std::atomic<int>> calls(2 * kOut);
    std::atomic<bool> on_steps{true}, equal{true};
    const auto after = [&](const Columns& c) {
      on_steps = on_steps && c.first % 48 == 0 && (c.last % 48 == 0 || c.last == kOut);
      for (std::size_t o = c.first; o < c.last; ++o) {
        calls[c.product * kOut + o].fetch_add(1);
        for (std::size_t r = 0; r < rows_; ++r) {
          const std::size_t at = (c.product * rows_ + r) * kOut + o;
          if (y[at] != expected[at]) equal = false;
        }
      }
    };
    multiply(compute, products, operand_of(compute, {x_.data(), rows_, kIn}, rounded_.span()),
             {.column_step = 48, .after = AfterColumns(after)});
    EXPECT_TRUE(on_steps);
    EXPECT_TRUE(equal);
    for (const auto& n : calls) ASSERT_EQ(n.load(), 1);
  }
}

TEST_P(Products, ThatGoTogetherAreAllThereWhenAfterIsCalled) {
  base::ThreadPool one(1), three(3);
  for (base::ThreadPool* pool : {&one, &three}) {
    const Compute compute = {&best(), pool};
    std::vector<float> y(2 * rows_ * kOut), sums(rows_ * kOut);
    const Product products[] = {{plain_, {y.data(), rows_, kOut}},
                                {packed_, {y.data() + rows_ * kOut, rows_, kOut}}};
    const auto add = [&](const Columns& c) {
      for (std::size_t r = 0; r < rows_; ++r) {
        for (std::size_t o = c.first; o < c.last; ++o) {
          sums[r * kOut + o] += y[r * kOut + o] + y[(rows_ + r) * kOut + o];
        }
      }
    };
    multiply(compute, products, operand_of(compute, {x_.data(), rows_, kIn}, rounded_.span()),
             {.column_step = 32, .together = true, .after = AfterColumns(add)});
    for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], y[i] + y[rows_ * kOut + i]) << i;
  }
}

TEST_P(Products, RoundingColumnByColumnIsRoundingAtOnce) {
  for (const Table* ops : available()) {
    const Memory whole(rounded_.size), parts(rounded_.size);
    const Rows<const float> x(x_.data(), rows_, kIn);
    ops->quantise_rows(x, int8_rows_in(whole.span(), rows_, kIn), 0, 0);
    const Int8Rows out = int8_rows_in(parts.span(), rows_, kIn);
    for (std::size_t column = 0; column < kIn; column += 64) {
      ops->quantise_rows({x.data + column, rows_, 64, kIn}, out, 0, column);
    }
    EXPECT_EQ(std::memcmp(whole.bytes.get(), parts.bytes.get(), rounded_.size), 0) << ops->name;
  }
}

}  // namespace
}  // namespace kakeya::kernels
