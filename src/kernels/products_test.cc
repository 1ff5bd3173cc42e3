#include "kernels/products.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "base/half.h"
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

// A float, a bf16 and a Q4_0 matrix of the same shape, and rows for them.
class Products : public testing::TestWithParam<std::size_t> {
 protected:
  static constexpr std::size_t kIn = 1024, kOut = 1030;  // the last columns fill no step
  Products() {
    base::ThreadPool pool(1);
    std::vector<std::byte> blocks(kOut * row_bytes(WeightType::kQ4_0, kIn));
    for (std::size_t o = 0; o < kOut; ++o) {
      quantise_row(WeightType::kQ4_0, weights_.data() + o * kIn, kIn,
                   blocks.data() + o * row_bytes(WeightType::kQ4_0, kIn));
    }
    for (std::size_t i = 0; i < weights_.size(); ++i) halves_[i] = base::f32_to_bf16(weights_[i]);
    packed_ = pack_panels(pool, {WeightType::kQ4_0, kOut, kIn, blocks.data()}, {}, panels_.span());
  }
  const std::size_t rows_ = GetParam();
  const std::vector<float> weights_ = random_floats(kOut * kIn, 1), x_ = random_floats(rows_ * kIn, 2);
  std::vector<std::uint16_t> halves_ = std::vector<std::uint16_t>(kOut * kIn);
  const Weight plain_ = {weights_.data(), WeightType::kF32, kOut, kIn};
  const Weight bf16_ = {halves_.data(), WeightType::kBf16, kOut, kIn};
  const Memory panels_{panel_bytes(WeightType::kQ4_0, kOut, kIn, 0)};
  const OperandForms forms_{.int8 = true, .split = takes_split_rows(best(), bf16_)};
  const Memory forms_memory_{operand_bytes(forms_, rows_, kIn)};
  Weight packed_;

  Operand operand(const Compute& compute) const {
    return operand_of(compute, {x_.data(), rows_, kIn}, {forms_, forms_memory_.span()});
  }
};

INSTANTIATE_TEST_SUITE_P(Rows, Products, testing::Values(1, 16, 21));

TEST_P(Products, AfterSeesTheValuesOfEveryColumnOnce) {
  base::ThreadPool one(1), three(3);
  constexpr std::size_t kMatrices = 3;
  const Weight* const weights[kMatrices] = {&plain_, &bf16_, &packed_};
  const std::size_t size = rows_ * kOut;
  std::vector<float> expected(kMatrices * size);
  for (std::size_t i = 0; i < kMatrices; ++i) {
    matmul({&best(), &one}, *weights[i], {x_.data(), rows_, kIn}, {expected.data() + i * size, rows_, kOut});
  }
  for (base::ThreadPool* pool : {&one, &three}) {
    const Compute compute = {&best(), pool};
    std::vector<float> y(kMatrices * size);
    std::vector<Product> products;
    for (std::size_t i = 0; i < kMatrices; ++i) {
      products.push_back({*weights[i], {y.data() + i * size, rows_, kOut}});
    }
    std::vector<std::atomic<int>> calls(kMatrices * kOut);
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
    multiply(compute, products, operand(compute), {.column_step = 48, .after = AfterColumns(after)});
    EXPECT_TRUE(on_steps);
    EXPECT_TRUE(equal);
    for (const auto& n : calls) ASSERT_EQ(n.load(), 1);
  }
}

TEST_P(Products, ThatGoTogetherAreAllThereWhenAfterIsCalled) {
  base::ThreadPool one(1), three(3);
  const std::size_t size = rows_ * kOut;
  for (base::ThreadPool* pool : {&one, &three}) {
    const Compute compute = {&best(), pool};
    std::vector<float> y(3 * size), sums(size);
    const Product products[] = {{plain_, {y.data(), rows_, kOut}},
                                {bf16_, {y.data() + size, rows_, kOut}},
                                {packed_, {y.data() + 2 * size, rows_, kOut}}};
    const auto add = [&](const Columns& c) {
      for (std::size_t r = 0; r < rows_; ++r) {
        for (std::size_t at = r * kOut + c.first; at < r * kOut + c.last; ++at) {
          sums[at] += y[at] + y[size + at] + y[2 * size + at];
        }
      }
    };
    multiply(compute, products, operand(compute),
             {.column_step = 32, .together = true, .after = AfterColumns(add)});
    for (std::size_t i = 0; i < sums.size(); ++i) {
      ASSERT_EQ(sums[i], y[i] + y[size + i] + y[2 * size + i]) << i;
    }
  }
}

TEST_P(Products, FillingColumnByColumnIsFillingAtOnce) {
  for (const Table* ops : available()) {
    const OperandForms forms = {.int8 = true, .split = takes_split_rows(*ops, bf16_)};
    const std::size_t bytes = operand_bytes(forms, rows_, kIn);
    const Memory whole(bytes), parts(bytes);
    const Rows<const float> x(x_.data(), rows_, kIn);
    unfilled_operand(x, {forms, whole.span()}).fill(*ops, x, 0, 0);
    const Operand out = unfilled_operand(x, {forms, parts.span()});
    for (std::size_t column = 0; column < kIn; column += 64) {
      out.fill(*ops, {x.data + column, rows_, 64, kIn}, 0, column);
    }
    EXPECT_EQ(std::memcmp(whole.bytes.get(), parts.bytes.get(), bytes), 0) << ops->name;
  }
}

}  // namespace
}  // namespace kakeya::kernels
