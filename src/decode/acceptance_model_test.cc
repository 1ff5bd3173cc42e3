// Survival from censored cycles, against the chances that made them.
#include "decode/acceptance_model.h"

#include <gtest/gtest.h>

#include <random>

namespace kakeya::decode {
namespace {

// Mean tokens of a cycle of `width` rows when draft i stands with chances[i - 1].
double tokens_of(const std::vector<double>& chances, std::size_t width) {
  double tokens = 1, survival = 1;
  for (std::size_t i = 0; i + 1 < width; ++i) tokens += survival *= chances[i];
  return tokens;
}

void draw_cycles(AcceptanceModel& model, const std::vector<double>& chances, std::size_t width, int cycles) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int cycle = 0; cycle < cycles; ++cycle) {
    std::size_t accepted = 0;
    while (accepted + 1 < width && uniform(random) < chances[accepted]) ++accepted;
    model.record(width - 1, accepted);
  }
}

TEST(AcceptanceModel, HopesBeforeTheFirstDraftAndBelievesOneFailure) {
  AcceptanceModel model;
  EXPECT_FALSE(model.has_evidence());
  EXPECT_GT(model.expected_tokens(4), 2.2);
  model.record(3, 0);
  EXPECT_TRUE(model.has_evidence());
  EXPECT_LT(model.expected_tokens(4), 1.6);
}

TEST(AcceptanceModel, FindsTheChancesThatMadeTheCycles) {
  const std::vector<double> chances = {0.9, 0.85, 0.8, 0.8, 0.75, 0.7, 0.7};
  double sum = 0;
  constexpr int kRuns = 40;
  AcceptanceModel model;
  draw_cycles(model, chances, 8, 30);
  for (int run = 0; run < kRuns; ++run) {  // the mean over time: one state sees a dozen cycles only
    std::mt19937 random(static_cast<std::uint32_t>(run));
    std::uniform_real_distribution<double> uniform(0, 1);
    for (int cycle = 0; cycle < 10; ++cycle) {
      std::size_t accepted = 0;
      while (accepted < 7 && uniform(random) < chances[accepted]) ++accepted;
      model.record(7, accepted);
    }
    sum += model.expected_tokens(8);
  }
  EXPECT_NEAR(sum / kRuns, tokens_of(chances, 8), 0.35);
}

TEST(AcceptanceModel, DoesNotTakeANarrowCycleForAFailureOfLaterDrafts) {
  AcceptanceModel narrow;
  for (int i = 0; i < 20; ++i) narrow.record(2, 2);  // width 3: nothing is seen of drafts 3 and later
  EXPECT_GT(narrow.chance(1), 0.9);
  EXPECT_GT(narrow.chance(5), 0.9) << "what was never tried follows the others";
  AcceptanceModel wide;
  for (int i = 0; i < 20; ++i) wide.record(7, 2);
  EXPECT_GT(wide.chance(2), 0.85);
  EXPECT_LT(wide.chance(3), 0.2);
}

TEST(AcceptanceModel, FollowsAChangeOfTheText) {
  AcceptanceModel model;
  for (int i = 0; i < 50; ++i) model.record(7, 7);
  EXPECT_GT(model.expected_tokens(8), 7);
  for (int i = 0; i < 12; ++i) model.record(7, 0);
  EXPECT_LT(model.expected_tokens(8), 2.2);
}

TEST(AcceptanceModel, PassesOnChancesWithLittleWeight) {
  AcceptanceModel model;
  for (int i = 0; i < 50; ++i) model.record(3, 3);
  const double before = model.expected_tokens(4);
  model.weaken(2);
  EXPECT_NEAR(model.expected_tokens(4), before, 0.35);
  model.record(3, 0);
  model.record(3, 0);
  EXPECT_LT(model.chance(1), 0.6);
}

}  // namespace
}  // namespace kakeya::decode
