// What the curve makes of samples: arithmetic done by hand.
#include "decode/cost_curve.h"

#include <gtest/gtest.h>

namespace kakeya::decode {
namespace {

void add(CostCurve& curve, std::size_t rows, std::initializer_list<double> samples) {
  for (const double ms : samples) curve.add_target(rows, ms);
}

TEST(TimeWindow, TakesTheSecondFastestOfFiveAndTheFastestOfThree) {
  TimeWindow window;
  for (const double ms : {12.0, 11.0, 30.0}) window.add(ms, 1);
  EXPECT_EQ(window.typical(), 11);
  for (const double ms : {13.0, 14.0}) window.add(ms, 2);
  EXPECT_EQ(window.typical(), 12);
  EXPECT_EQ(window.stamp(), 2u);
}

TEST(TimeWindow, ForgetsAStolenCoreAndFollowsALastingChangeAfterFourSamples) {
  TimeWindow window;
  for (int i = 0; i < 5; ++i) window.add(10, 1);
  for (int i = 0; i < 3; ++i) window.add(20, 1);
  EXPECT_EQ(window.typical(), 10);
  window.add(20, 1);
  EXPECT_EQ(window.typical(), 20);
}

TEST(TimeTable, IsLinearBetweenPointsAndNeverFalls) {
  TimeTable table;
  table.add(4, 130, 1);
  table.add(8, 150, 1);
  table.add(16, 140, 1);  // a fast moment
  EXPECT_EQ(table.at(4, 1), 130);
  EXPECT_EQ(table.at(6, 1), 140);
  EXPECT_EQ(table.at(12, 1), 150);
  EXPECT_EQ(table.at(16, 1), 150);
  EXPECT_EQ(table.at(20, 3), 150 + 4 * 3);
  EXPECT_EQ(table.at(2, 1), 130) << "less work than was ever measured";
  EXPECT_EQ(table.at(2, 1, {1, 100}), 110) << "unless the least is known";
}

TEST(CostCurve, KnowsThePlainStepAfterThreeAndGuessesTheRest) {
  CostCurve curve;
  EXPECT_FALSE(curve.plain_known());
  add(curve, 1, {110, 100});
  EXPECT_TRUE(curve.measuring());
  add(curve, 1, {180});
  EXPECT_FALSE(curve.measuring());
  EXPECT_EQ(curve.plain_ms(), 100);
  for (const std::size_t rows : {2u, 4u, 8u, 16u}) {
    EXPECT_GT(curve.target_ms(rows), curve.target_ms(rows - 1));
    EXPECT_GT(curve.target_ms(rows, true), curve.target_ms(rows)) << "a bound is above a guess";
    EXPECT_GT(curve.draft_ms(rows, true), curve.draft_ms(rows));
    EXPECT_GT(curve.observe_ms(rows, true), curve.observe_ms(rows));
  }
  EXPECT_EQ(curve.observe_ms(0), 0);
}

TEST(CostCurve, InterpolatesBetweenThePlainStepAndMeasuredWidths) {
  CostCurve curve;
  add(curve, 1, {100, 100, 100});
  add(curve, 5, {140});
  EXPECT_DOUBLE_EQ(curve.target_ms(3), 120);
  EXPECT_DOUBLE_EQ(curve.target_ms(3, true), 120) << "between measured points a bound is the same";
  EXPECT_DOUBLE_EQ(curve.target_ms(5), 140);
  EXPECT_GT(curve.target_ms(6), 140);
  EXPECT_FALSE(curve.confirmed(5));
}

TEST(CostCurve, BelievesAFirstSampleOnlyUpToTwiceItsBound) {
  CostCurve curve;
  add(curve, 1, {100, 100, 100});
  const double bound = curve.target_ms(4, true);
  add(curve, 4, {5000});
  EXPECT_DOUBLE_EQ(curve.target_ms(4), 2 * bound);
  curve.drop_unconfirmed();
  EXPECT_DOUBLE_EQ(curve.target_ms(4, true), bound) << "a guess again";
  add(curve, 4, {140, 140, 140});
  curve.drop_unconfirmed();
  EXPECT_DOUBLE_EQ(curve.target_ms(4), 140);
}

TEST(CostCurve, SharesPointsOfTheObserveTableInProportion) {
  CostCurve curve;
  add(curve, 1, {100, 100, 100});
  curve.add_observe(1, 2);
  curve.add_observe(48, 12);  // a quarter each, 16 for 64
  EXPECT_DOUBLE_EQ(curve.observe_ms(64), 16);
  EXPECT_DOUBLE_EQ(curve.observe_ms(1), 2);
}

TEST(CostCurve, RescalesWhatWasNotMeasuredSinceTheLastRefresh) {
  CostCurve curve;
  add(curve, 1, {100, 100, 100});
  add(curve, 4, {120});
  add(curve, 8, {150});
  curve.refresh_plain();
  add(curve, 1, {100, 100, 100});
  add(curve, 4, {180});  // the context has grown; 120 is forgotten later
  add(curve, 4, {180, 180, 180, 180});
  curve.refresh_plain();
  EXPECT_EQ(curve.plain_ms(), 100) << "until three new samples are in";
  add(curve, 1, {150, 150, 150});
  EXPECT_EQ(curve.plain_ms(), 150);
  EXPECT_DOUBLE_EQ(curve.target_ms(4), 180) << "measured since";
  EXPECT_DOUBLE_EQ(curve.target_ms(8), 225) << "moves with the plain step";
}

TEST(CostCurve, DoubtsAPlainStepThatTakesLongerThanANewerPassOfManyRows) {
  CostCurve curve;
  add(curve, 1, {200, 200, 200});  // a slow moment
  EXPECT_FALSE(curve.plain_in_doubt());
  add(curve, 4, {120});
  EXPECT_TRUE(curve.plain_in_doubt());
  EXPECT_EQ(curve.plain_ms(), 120);
  add(curve, 1, {100, 100});
  EXPECT_EQ(curve.plain_ms(), 100) << "newer than the pass";
}

}  // namespace
}  // namespace kakeya::decode
