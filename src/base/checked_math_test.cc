#include "base/checked_math.h"

#include <gtest/gtest.h>

namespace kakeya::base {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};

TEST(CheckedMath, AddsAndMultipliesUpToTheLastBit) {
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_mul(std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1),
            kMax - ((std::uint64_t{1} << 32) - 1));
  EXPECT_EQ(checked_mul(kMax, 1), kMax);
  EXPECT_EQ(checked_mul(kMax, 0), 0u);
}

TEST(CheckedMath, HasNoValueWhereTheResultDoesNotFit) {
  EXPECT_FALSE(checked_add(kMax, 1).has_value());
  EXPECT_FALSE(checked_add(kMax, kMax).has_value());
  EXPECT_FALSE(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 32).has_value());
  EXPECT_FALSE(checked_mul(kMax, 2).has_value());
}

}  // namespace
}  // namespace kakeya::base
