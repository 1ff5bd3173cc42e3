// Both 16-bit formats against arithmetic on their fields in double precision, all 65536 values.
#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kakeya::base {
namespace {

// The value of a format with `exponent_bits` and `mantissa_bits`, from its definition.
double field_value(std::uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  }
  const double fraction = std::ldexp(static_cast<double>(mantissa), -mantissa_bits);
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias)
                       : sign * std::ldexp(1 + fraction, exponent - bias);
}

struct Format {
  const char* name;
  int exponent_bits, mantissa_bits;
  float (*widen)(std::uint16_t);
  std::uint16_t (*narrow)(float);
};

class HalfFormat : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Half, HalfFormat,
                         testing::Values(Format{"f16", 5, 10, f16_to_f32, f32_to_f16},
                                         Format{"bf16", 8, 7, bf16_to_f32, f32_to_bf16}),
                         [](const auto& format) { return format.param.name; });

TEST_P(HalfFormat, EveryValueWidensToItsDefinitionAndComesBack) {
  const Format& format = GetParam();
  for (std::uint32_t u = 0; u < 65536; ++u) {
    const auto bits = static_cast<std::uint16_t>(u);
    const double expected = field_value(bits, format.exponent_bits, format.mantissa_bits);
    const float wide = format.widen(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(wide)) << u;
      ASSERT_TRUE(std::isnan(format.widen(format.narrow(wide)))) << u;
      continue;
    }
    ASSERT_EQ(wide, expected) << u;
    ASSERT_EQ(std::signbit(wide), std::signbit(expected)) << u;
    ASSERT_EQ(format.narrow(wide), bits) << u;
  }
}

// Between neighbours a < b: what is nearer to a gives a, the middle gives the even one.
TEST_P(HalfFormat, RoundsToNearestAndHalfToEvenBetweenAllNeighbours) {
  const Format& format = GetParam();
  const auto infinity = static_cast<std::uint16_t>(((1 << format.exponent_bits) - 1) << format.mantissa_bits);
  for (std::uint16_t low = 0; low + 1 < infinity; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const float a = format.widen(low), b = format.widen(high);
    const auto middle = static_cast<float>((double{a} + b) / 2);
    if (middle == a || middle == b) continue;  // a float has no value between two subnormals of bf16
    const std::uint16_t even = low % 2 == 0 ? low : high;
    ASSERT_EQ(format.narrow(middle), even) << low;
    ASSERT_EQ(format.narrow(-middle), even | 0x8000) << low;
    ASSERT_EQ(format.narrow(std::nextafter(middle, a)), low) << low;
    ASSERT_EQ(format.narrow(std::nextafter(middle, b)), high) << low;
  }
}

TEST(Half, OverflowsToInfinityFromHalfAStepBeyondTheLargest) {
  EXPECT_EQ(f32_to_f16(65504.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000);  // half of the smallest subnormal: to even
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
}

}  // namespace
}  // namespace kakeya::base
