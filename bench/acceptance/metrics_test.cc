#include "acceptance/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace kakeya::acceptance {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

constexpr BootstrapOptions kBootstrap{.resamples = 200, .seed = 1, .level = 0.95};

Record free_record(const std::vector<Cycle>& cycles, std::size_t output_tokens, double decode_ms = 100) {
  Record record;
  record.free.emplace();
  record.free->cycles = cycles;
  record.free->output_ids.assign(output_tokens, 1);
  record.free->decode_ms = decode_ms;
  record.free->ttft_ms = 10;
  return record;
}

// Two prompts, worked out by hand: lengths 3, 1 and 4 of block 4 (3 proposed).
std::vector<Record> two_prompts() {
  return {free_record({{3, 2, 3}, {3, 0, 1}}, 5), free_record({{3, 3, 4}}, 5)};
}

TEST(Acceptance, AllDefinitionsComeFromTheSameCounts) {
  const Acceptance a = sum_acceptance(two_prompts(), "free", kBootstrap);
  EXPECT_EQ(a.cycles, 3u);
  EXPECT_EQ(a.drafted, 9u);
  EXPECT_EQ(a.accepted, 5u);
  EXPECT_EQ(a.generated, 10u);
  EXPECT_DOUBLE_EQ(a.mean.estimate, 3.0);  // (2 + 4) / 2
  EXPECT_DOUBLE_EQ(a.pooled, 1 + 5.0 / 3);
  EXPECT_DOUBLE_EQ(a.rate.estimate, 5.0 / 9);
  EXPECT_DOUBLE_EQ(a.share, 5.0 / 8);
  EXPECT_DOUBLE_EQ(a.p50, 3.0);
  EXPECT_DOUBLE_EQ(a.p50_prompts, 3.0);
  EXPECT_THAT(a.histogram, ElementsAre(0u, 1u, 0u, 1u, 1u));
  EXPECT_THAT(a.per_position, ElementsAre(DoubleNear(2.0 / 3, 1e-12), DoubleNear(2.0 / 3, 1e-12),
                                          DoubleNear(1.0 / 3, 1e-12)));
}

TEST(Acceptance, OfThePublishedWorkedExample) {
  // 86.43 % of the output drafted means 7.37 tokens a cycle and, of 15 drafted, 42.4 %: one tool's rate is
  // another's share.
  std::vector<Record> records;
  std::vector<Cycle> cycles;
  for (int i = 0; i < 100; ++i) {
    const auto accepted = static_cast<std::uint32_t>(i < 37 ? 7 : 6);
    cycles.push_back({15, accepted, accepted + 1});
  }
  records.push_back(free_record(cycles, 738));
  const Acceptance a = sum_acceptance(records, "free", kBootstrap);
  EXPECT_NEAR(a.share, 0.8643, 5e-5);
  EXPECT_NEAR(a.pooled, 7.37, 1e-9);
  EXPECT_NEAR(a.rate.estimate, 0.424, 1e-3);
}

TEST(Acceptance, CountsPromptsThatStopAtOnceAsRecordsOnly) {
  std::vector<Record> records = two_prompts();
  records.push_back(free_record({}, 1));
  const Acceptance a = sum_acceptance(records, "free", kBootstrap);
  EXPECT_EQ(a.prompts, 3u);
  EXPECT_EQ(a.prompts_without_cycles, 1u);
  EXPECT_DOUBLE_EQ(a.mean.estimate, 3.0);
}

TEST(Acceptance, OfNoCyclesIsNotANumber) {
  const Acceptance a = sum_acceptance({free_record({}, 1)}, "free", kBootstrap);
  EXPECT_TRUE(std::isnan(a.mean.estimate));
  EXPECT_TRUE(std::isnan(a.rate.estimate));
}

TEST(Acceptance, ReadsForcedAnchorsForTheForcedProtocol) {
  Record record = free_record({{3, 3, 4}}, 5);
  record.forced.emplace();
  record.forced->anchors = {{0, 3, 1}, {2, 3, 0}};
  const Acceptance a = sum_acceptance({record}, "forced", kBootstrap);
  EXPECT_EQ(a.accepted, 1u);
  EXPECT_DOUBLE_EQ(a.mean.estimate, 1.5);
}

TEST(CellMetrics, DecodeRateLeavesOutTheFirstToken) {
  const CellMetrics m = sum_cell({free_record({{3, 3, 4}}, 5, 200)}, "free", TaskKind::kMath, 24, kBootstrap);
  EXPECT_DOUBLE_EQ(m.tps->mean, 20.0);  // four tokens in 0.2 s
  EXPECT_DOUBLE_EQ(m.ttft_ms->mean, 10.0);
}

TEST(CellMetrics, SingleTokenHasNoRate) {
  const CellMetrics m = sum_cell({free_record({}, 1, 0)}, "free", TaskKind::kMath, 24, kBootstrap);
  EXPECT_FALSE(m.tps.has_value());
}

TEST(CellMetrics, UngradedAnswersAreNotWrongAnswers) {
  std::vector<Record> records = two_prompts();
  records[0].free->correct = true;
  records[1].free->grade_detail = "bubblewrap is not installed";
  const CellMetrics m = sum_cell(records, "free", TaskKind::kCode, 24, kBootstrap);
  EXPECT_EQ(m.correctness->name, "pass@1");
  EXPECT_EQ(m.correctness->n, 1u);
  EXPECT_DOUBLE_EQ(m.correctness->value.estimate, 1.0);
}

TEST(CellMetrics, AgreementIsPerTokenOverAllPositions) {
  std::vector<Record> records(2);
  records[0].forced = ForcedPart{.reference_sha256 = "",
                                 .reference_tokens = 90,
                                 .anchors = {},
                                 .positions = 90,
                                 .top1_agree = 90,
                                 .kl_sum = 0,
                                 .nll_sum = 9,
                                 .nll_baseline_sum = 9,
                                 .first_divergence = -1};
  records[1].forced = ForcedPart{.reference_sha256 = "",
                                 .reference_tokens = 10,
                                 .anchors = {},
                                 .positions = 10,
                                 .top1_agree = 5,
                                 .kl_sum = 2,
                                 .nll_sum = 3,
                                 .nll_baseline_sum = 1,
                                 .first_divergence = 4};
  const CellMetrics m = sum_cell(records, "forced", TaskKind::kMath, 24, kBootstrap);
  EXPECT_DOUBLE_EQ(m.agreement->top1.estimate, 0.95);
  EXPECT_DOUBLE_EQ(m.agreement->kl_per_token.estimate, 0.02);
  EXPECT_DOUBLE_EQ(m.agreement->delta_nll.estimate, 0.02);
  EXPECT_EQ(m.agreement->prompts_diverged, 1u);
  EXPECT_DOUBLE_EQ(m.agreement->first_divergence_p50, 4.0);
}

TEST(CellMetrics, MemoryPerTokenCountsCodesAndSideData) {
  Record record = free_record({{3, 3, 4}}, 5);
  record.free->memory.target.codes_bytes = 9000;
  record.free->memory.target.side_bytes = 1000;
  record.free->memory.target.vectors_capacity = 100;
  record.free->memory.target.codec_fired = {{2, 20}, {3, 30}};
  const CellMetrics m = sum_cell({record, record}, "free", TaskKind::kMath, 24, kBootstrap);
  EXPECT_DOUBLE_EQ(m.memory->target_bytes_per_token, 2400.0);
  EXPECT_EQ(m.memory->codec_fired[1].vectors, 60u);
}

}  // namespace
}  // namespace kakeya::acceptance
