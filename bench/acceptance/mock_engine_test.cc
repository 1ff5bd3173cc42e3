#include "acceptance/mock_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kakeya/codec.h>

#include "acceptance/metrics.h"

namespace kakeya::acceptance {
namespace {

using testing::HasSubstr;

const StopSignal kNeverStop = [] { return false; };

double free_tau(const std::string& channel, std::size_t block) {
  const auto engine = make_mock_engine(block);
  const Dataset set = mock_dataset("gsm8k", 64, 0).value();
  std::vector<Record> records;
  for (const Problem& problem : set.problems) {
    const Prompt prompt = engine->prompt(problem, PromptStyle::kPlain).value();
    Record record;
    record.free = engine->free_run(channel, prompt, 256, {}, kNeverStop).value();
    records.push_back(std::move(record));
  }
  return sum_acceptance(records, "free", {.resamples = 100, .seed = 0, .level = 0.95}).mean.estimate;
}

TEST(MockEngine, FollowsTheTheoryOfTheProposalAtBlock16) {
  EXPECT_NEAR(free_tau("bf16", 16), 15, 0.25);
  EXPECT_NEAR(free_tau("e8-q38", 16), 14, 0.25);
  EXPECT_NEAR(free_tau("e8-q10", 16), 12, 0.4);
  EXPECT_NEAR(free_tau("e8-q4", 16), 8, 0.4);
}

TEST(MockEngine, GivesEveryChannelAPlaceBelowBf16) {
  for (const ChannelPattern& pattern : channel_patterns()) {
    for (const std::string& name : pattern.examples) {
      const auto facts = make_mock_engine(16)->channel(name, {});
      ASSERT_TRUE(facts.ok()) << name;
      if (name == "bf16") continue;
      EXPECT_LT(mock_tau16(*facts), 15) << name;
      EXPECT_GE(mock_tau16(*facts), 2) << name;
    }
  }
}

TEST(MockEngine, RepeatsItself) {
  const auto engine = make_mock_engine(16);
  const Problem problem = mock_dataset("humaneval", 1, 3).value().problems[0];
  const Prompt prompt = engine->prompt(problem, PromptStyle::kPlain).value();
  const FreePart a = engine->free_run("e8-q10", prompt, 64, {}, kNeverStop).value();
  const FreePart b = engine->free_run("e8-q10", prompt, 64, {}, kNeverStop).value();
  EXPECT_EQ(a.output_ids, b.output_ids);
  EXPECT_EQ(a.text, b.text);
  EXPECT_THAT(a.text, HasSubstr("MOCK"));
}

TEST(MockEngine, ForcedAtItsOwnCycleStartsAcceptsWhatItAcceptedFreely) {
  const auto engine = make_mock_engine(16);
  const Prompt prompt =
      engine->prompt(mock_dataset("gsm8k", 1, 3).value().problems[0], PromptStyle::kPlain).value();
  const FreePart free = engine->free_run("bf16", prompt, 256, {}, kNeverStop).value();
  std::vector<std::size_t> anchors;
  std::size_t at = 0;
  for (const Cycle& cycle : free.cycles) {
    anchors.push_back(at);
    at += cycle.emitted;
  }
  const ForcedPart forced = engine->forced_run("bf16", prompt, free.output_ids, anchors, {}).value();
  ASSERT_EQ(forced.anchors.size(), free.cycles.size());
  for (std::size_t i = 0; i < anchors.size(); ++i)
    EXPECT_EQ(forced.anchors[i].accepted, free.cycles[i].accepted);
  EXPECT_EQ(forced.top1_agree, forced.positions);
}

TEST(MockDataset, OwnsUpToBeingMadeUp) {
  const Dataset set = mock_dataset("gsm8k", 5, 0).value();
  EXPECT_EQ(set.source, "synthetic");
  EXPECT_EQ(set.problems.size(), 5u);
  EXPECT_FALSE(mock_dataset("nonsense", 5, 0).ok());
}

}  // namespace
}  // namespace kakeya::acceptance
