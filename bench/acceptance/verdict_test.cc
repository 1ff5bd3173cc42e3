#include "acceptance/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kakeya::acceptance {
namespace {

using testing::HasSubstr;

constexpr BootstrapOptions kBootstrap{.resamples = 2000, .seed = 1, .level = 0.95};

// One forced anchor list per prompt: 10 anchors of 10 proposed tokens, `accepted` of them in all.
Record forced_record(std::size_t index, std::uint32_t accepted) {
  Record record;
  record.index = index;
  record.forced.emplace();
  for (std::size_t i = 0; i < 10; ++i) {
    const std::uint32_t share = accepted / 10 + (i < accepted % 10 ? 1 : 0);
    record.forced->anchors.push_back({i, 10, share});
  }
  return record;
}

std::vector<Record> forced_records(const std::vector<std::uint32_t>& accepted) {
  std::vector<Record> records;
  for (const std::uint32_t a : accepted) records.push_back(forced_record(records.size(), a));
  return records;
}

// Prompts of very different difficulty; `drop` of 100 drafted tokens fewer, plus a little that varies.
std::vector<std::uint32_t> accepted_counts(std::size_t n, std::uint32_t drop, std::uint32_t wobble) {
  std::vector<std::uint32_t> counts;
  for (std::size_t i = 0; i < n; ++i) {
    const auto base = static_cast<std::uint32_t>(40 + (i * 7) % 50);
    counts.push_back(base - drop - static_cast<std::uint32_t>(i % 2) * wobble);
  }
  return counts;
}

TEST(Judge, WantsTheWholeIntervalInsideOrOutside) {
  std::size_t more = 0;
  EXPECT_EQ(judge({0.5, -0.5, 1.9}, 2, 32, more), Verdict::kNonInferior);
  EXPECT_EQ(judge({0.5, -0.5, 2.0}, 2, 32, more), Verdict::kNonInferior);  // the bound itself is inside
  EXPECT_EQ(judge({4, 2.1, 6}, 2, 32, more), Verdict::kWorse);
  EXPECT_EQ(judge({1, -1, 3}, 2, 32, more), Verdict::kInconclusive);
  EXPECT_EQ(judge({3, 1, 5}, 2, 32, more), Verdict::kInconclusive);
}

TEST(Judge, SaysHowManyMorePromptsWouldDecide) {
  // Half-width 2 at 25 prompts; the margin is 1 away: half the width needs four times the prompts, 100 in
  // all.
  std::size_t more = 0;
  EXPECT_EQ(judge({1, -1, 3}, 2, 25, more), Verdict::kInconclusive);
  EXPECT_EQ(more, 75u);
  EXPECT_EQ(judge({2, 0, 4}, 2, 25, more), Verdict::kInconclusive);
  EXPECT_EQ(more, kManyPrompts);
}

TEST(Judge, GivesNoVerdictFromAFewPrompts) {
  std::size_t more = 0;
  EXPECT_EQ(judge({0, 0, 0}, 2, kMinPrompts - 1, more), Verdict::kInconclusive);
  EXPECT_EQ(more, 1u);
  EXPECT_EQ(judge({50, 50, 50}, 2, 1, more), Verdict::kInconclusive);
  EXPECT_EQ(judge({0, 0, 0}, 2, kMinPrompts, more), Verdict::kNonInferior);
}

TEST(CompareAcceptance, FindsAKnownShift) {
  const auto base = forced_records(accepted_counts(32, 0, 0));
  const Comparison c =
      compare_acceptance(forced_records(accepted_counts(32, 6, 0)), base, "forced", 2.0, kBootstrap);
  EXPECT_NEAR(c.drop_pp.estimate, 6, 1e-9);
  EXPECT_EQ(c.verdict, Verdict::kWorse);
  EXPECT_EQ(c.prompts, 32u);
}

TEST(CompareAcceptance, CallsTheSameCountsNonInferior) {
  const auto base = forced_records(accepted_counts(32, 0, 0));
  const Comparison c = compare_acceptance(base, base, "forced", 2.0, kBootstrap);
  EXPECT_EQ(c.drop_pp.low, 0);
  EXPECT_EQ(c.drop_pp.high, 0);
  EXPECT_EQ(c.verdict, Verdict::kNonInferior);
}

TEST(CompareAcceptance, SaysWhenTheSampleCannotTell) {
  const auto base = forced_records(accepted_counts(16, 0, 0));
  const Comparison c =
      compare_acceptance(forced_records(accepted_counts(16, 0, 3)), base, "forced", 2.0, kBootstrap);
  EXPECT_EQ(c.verdict, Verdict::kInconclusive);
  EXPECT_THAT(c.text, HasSubstr("more prompts would decide"));
}

TEST(CompareAcceptance, GivesOnlyTheIntervalWithoutAMargin) {
  const auto base = forced_records(accepted_counts(16, 0, 0));
  const Comparison c =
      compare_acceptance(forced_records(accepted_counts(16, 30, 0)), base, "forced", {}, kBootstrap);
  EXPECT_EQ(c.verdict, Verdict::kNoMargin);
  EXPECT_THAT(c.text, HasSubstr("no margin was declared"));
}

TEST(CompareAcceptance, LeavesPromptsWithoutACycleOutOfThePairs) {
  auto base = forced_records(accepted_counts(12, 0, 0));
  base[3].forced->anchors.clear();
  const Comparison c =
      compare_acceptance(forced_records(accepted_counts(12, 0, 0)), base, "forced", 2.0, kBootstrap);
  EXPECT_EQ(c.prompts, 11u);
}

TEST(Margins, AreTheDeclaredOnes) {
  const auto margins = default_margins();
  EXPECT_EQ(margins.size(), 2u);
  EXPECT_EQ(margins.at("e8-q38"), 2.0);
  EXPECT_EQ(margins.at("e8-q10"), 5.0);
}

TEST(ExitCode, IsOneForWorseThreeForInconclusiveAndZeroOtherwise) {
  using V = Verdict;
  EXPECT_EQ(exit_code({V::kBaseline, V::kNonInferior, V::kNonInferior}), 0);
  EXPECT_EQ(exit_code({V::kBaseline, V::kNonInferior, V::kNoMargin}), 0);
  EXPECT_EQ(exit_code({V::kNonInferior, V::kInconclusive}), 3);
  EXPECT_EQ(exit_code({V::kInconclusive, V::kWorse, V::kNonInferior}), 1);
}

TEST(Worst, MakesAChannelAsGoodAsItsWorstDataSet) {
  EXPECT_EQ(worst({Verdict::kNonInferior, Verdict::kWorse}), Verdict::kWorse);
  EXPECT_EQ(worst({Verdict::kNonInferior, Verdict::kInconclusive}), Verdict::kInconclusive);
  EXPECT_EQ(worst({Verdict::kNonInferior, Verdict::kNonInferior}), Verdict::kNonInferior);
}

Agreement agreement(Interval top1, Interval delta_nll) {
  Agreement a;
  a.top1 = top1;
  a.delta_nll = delta_nll;
  return a;
}

TEST(Fidelity, IsJudgedAtTheWorseEndOfTheIntervals) {
  const Interval tiny{0.001, 0, 0.002};
  EXPECT_EQ(judge_fidelity(agreement({0.995, 0.991, 0.999}, tiny)).grade, Fidelity::kSame);
  EXPECT_EQ(judge_fidelity(agreement({0.995, 0.985, 0.999}, tiny)).grade, Fidelity::kClose);
  EXPECT_EQ(judge_fidelity(agreement({0.995, 0.991, 0.999}, {0.005, 0, 0.03})).grade, Fidelity::kClose);
  EXPECT_EQ(judge_fidelity(agreement({0.96, 0.94, 0.98}, tiny)).grade, Fidelity::kDrifts);
  EXPECT_EQ(judge_fidelity(agreement({0.995, 0.991, 0.999}, {0.05, 0.01, 0.09})).grade, Fidelity::kDrifts);
}

TEST(Fidelity, DriftsEvenWhereAcceptanceIsFlat) {
  // The line of acceptance may be perfect; the text is another one.
  const FidelityVerdict verdict = judge_fidelity(agreement({0.90, 0.88, 0.92}, {0.2, 0.1, 0.3}));
  EXPECT_EQ(verdict.grade, Fidelity::kDrifts);
  EXPECT_THAT(verdict.text, HasSubstr("drifts away from bf16"));
}

}  // namespace
}  // namespace kakeya::acceptance
