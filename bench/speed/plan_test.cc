// Which tests flags lead to, and which are refused.
#include "speed/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kakeya::speed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::vector<std::string>> names(const Options& options, const PlanFor& target) {
  std::vector<std::vector<std::string>> out;
  const auto plan = make_plan(options, target);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
  for (const Group& group : *plan) {
    out.emplace_back();
    for (const Test& test : group) out.back().push_back(test.name());
  }
  return out;
}

Options small() {
  Options options;
  options.prompts = {32, 0};
  options.gens = {8};
  options.rows = {1, 4, 0};
  return options;
}

TEST(Plan, HasATestPerSizeAndOneGroupForTheCostCurve) {
  Options options = small();
  options.depths = {64, 0};
  options.prompt_gens = {{16, 4}};
  EXPECT_THAT(names(options, {1024, "m", 0}),
              ElementsAre(ElementsAre("pp32"), ElementsAre("tg8"), ElementsAre("pp16+tg4"),
                          ElementsAre("rows1", "rows4"), ElementsAre("pp32@d64"), ElementsAre("tg8@d64"),
                          ElementsAre("pp16+tg4@d64"), ElementsAre("rows1@d64", "rows4@d64")));
}

TEST(Plan, TimesTheDraftsPartsBesideTheCurve) {
  EXPECT_THAT(names(small(), {1024, "m", 8}).back(),
              ElementsAre("rows1", "rows4", "draft-propose8", "draft-observe1", "draft-observe8"));
  Options options = small();
  options.block_size = 6;
  EXPECT_EQ(names(options, {1024, "m", 8}).back()[2], "draft-propose6");
}

TEST(Plan, SimulatesOnlyByNameAndOnlyWidthsThatCanReachTheMean) {
  Options options = small();
  options.rows = {1, 2, 4, 8, 16};
  EXPECT_EQ(names(options, {1024, "m", 8}).size(), 3u);
  options.simulated_tokens = 3.5;
  const auto found = names(options, {1024, "m", 8});
  ASSERT_EQ(found.size(), 5u);
  EXPECT_THAT(found[3], ElementsAre("SIMULATED-3.5-tg8-rows4"));
  EXPECT_THAT(found[4], ElementsAre("SIMULATED-3.5-tg8-rows8"));
}

TEST(Plan, RefusesWhatCannotBe) {
  const auto refused = [](const Options& options, const PlanFor& target, const std::string& words) {
    const auto plan = make_plan(options, target);
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(plan.error().message, HasSubstr(words));
  };
  Options options = small();
  options.depths = {1000};
  refused(options, {1024, "m", 0}, "pp32@d1000: it needs 1032 positions, expected at most 1024");
  options = small();
  options.simulated_tokens = 3;
  refused(options, {1024, "m", 0}, "--draft");
  options.simulated_tokens = 9;
  refused(options, {1024, "m", 8}, "expected 1 to 8");
  options = small();
  options.block_size = 1;
  refused(options, {1024, "m", 8}, "--block-size");
  options = small();
  options.prompts = options.gens = options.rows = {0};
  refused(options, {1024, "m", 0}, "no test is left");
}

}  // namespace
}  // namespace kakeya::speed
