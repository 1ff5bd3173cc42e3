// Against numbers of Python's statistics module, and of the geometric law.
#include "speed/statistics.h"

#include <gtest/gtest.h>

#include <vector>

namespace kakeya::speed {
namespace {

TEST(Statistics, OfAHandfulOfSamples) {
  const std::vector<double> values = {9, 2, 4, 4, 5, 7};
  EXPECT_DOUBLE_EQ(average(values), 31.0 / 6);
  EXPECT_NEAR(deviation(values), 2.4832774042918899, 1e-12);
  EXPECT_DOUBLE_EQ(median(values), 4.5);
  EXPECT_DOUBLE_EQ(smallest(values), 2);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{3, 1, 2}), 2);
}

TEST(Statistics, OfOneAndOfNone) {
  const std::vector<double> one = {5};
  EXPECT_EQ(average(one), 5);
  EXPECT_EQ(deviation(one), 0);
  EXPECT_EQ(median(one), 5);
  const std::vector<double> none;
  EXPECT_EQ(average(none), 0);
  EXPECT_EQ(median(none), 0);
  EXPECT_EQ(smallest(none), 0);
}

TEST(DrawnCycles, EmitTheMeanThatWasAskedFor) {
  for (const double mean : {1.5, 3.5, 8.0}) {
    std::size_t emitted = 0;
    const auto accepted = draw_accepted(mean, 16, 200000, 7);
    for (const auto a : accepted) {
      ASSERT_LT(a, 16u);
      emitted += a + 1;
    }
    EXPECT_GE(emitted, 200000u);
    EXPECT_LT(emitted - accepted.back() - 1, 200000u);
    EXPECT_NEAR(static_cast<double>(emitted) / static_cast<double>(accepted.size()), mean, 0.02 * mean);
  }
}

TEST(DrawnCycles, AtTheEndsAreCertain) {
  for (const auto a : draw_accepted(1, 16, 100, 1)) EXPECT_EQ(a, 0u);
  for (const auto a : draw_accepted(16, 16, 100, 1)) EXPECT_EQ(a, 15u);
}

TEST(DrawnCycles, AreTheSameForASeed) {
  EXPECT_EQ(draw_accepted(3, 8, 1000, 1), draw_accepted(3, 8, 1000, 1));
  EXPECT_NE(draw_accepted(3, 8, 1000, 1), draw_accepted(3, 8, 1000, 2));
}

}  // namespace
}  // namespace kakeya::speed
