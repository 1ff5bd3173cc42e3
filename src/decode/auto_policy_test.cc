// The promise and the rule in simulation: time is what the simulated machine says, nothing is waited for.
#include "decode/auto_policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "decode/policy_test_support.h"

namespace kakeya::decode {
namespace {

using test::Machine;
using test::Outcome;
using test::Request;
using test::simulate;

constexpr double kPromise = 0.02;
constexpr std::size_t kLengths[] = {64, 128, 256, 512};

double always(std::size_t) { return 0.95; }
double never(std::size_t) { return 0; }

bool has(const PolicyReport& report, ModeReason reason) {
  return std::ranges::any_of(report.changes, [&](const ModeChange& c) { return c.reason == reason; });
}

TEST(AutoPolicy, KeepsThePromiseWhereDraftsAlwaysFail) {
  for (const std::size_t tokens : kLengths) {
    for (const std::size_t prompt : {4u, 40u, 250u, 2000u}) {
      PolicyMemory memory;
      Request request;
      request.tokens = tokens;
      request.prompt = prompt;
      request.chance = never;
      for (int again = 0; again < 4; ++again) {
        const Outcome out = simulate(memory, Machine(), request);
        EXPECT_LE(out.loss(), kPromise) << tokens << " tokens, prompt " << prompt << ", request " << again;
        EXPECT_NEAR(out.report.plain_ms, out.plain_ms, 0.01 * out.plain_ms);
        EXPECT_NEAR(-out.report.gained_ms, out.total_ms - out.plain_ms, 0.002 * out.plain_ms);
        // Each probe that fails doubles the wait for the next.
        EXPECT_LE(out.report.speculative_cycles, 8u);
      }
    }
  }
}

TEST(AutoPolicy, KeepsThePromiseWhereDraftsFailAfterTheyStoodInEarlierRequests) {
  for (const std::size_t tokens : kLengths) {
    PolicyMemory memory;
    Request request;
    request.tokens = tokens;
    request.chance = always;
    for (int i = 0; i < 3; ++i) simulate(memory, Machine(), request);
    request.chance = never;
    for (int again = 0; again < 3; ++again) {
      EXPECT_LE(simulate(memory, Machine(), request).loss(), kPromise) << tokens << ", request " << again;
    }
  }
}

// Mean loss of the second request of an engine, over draws of what stands.
double mean_loss(std::size_t tokens, double chance) {
  constexpr std::uint32_t kDraws = 40;
  double sum = 0;
  for (std::uint32_t seed = 0; seed < kDraws; ++seed) {
    PolicyMemory memory;
    Request request;
    request.tokens = tokens;
    request.seed = seed;
    request.chance = [chance](std::size_t) { return chance; };
    simulate(memory, Machine(), request);
    request.seed += kDraws;
    sum += simulate(memory, Machine(), request).loss() / kDraws;
  }
  return sum;
}

TEST(AutoPolicy, IsFarFasterWhereDraftsStand) {
  // 16 rows with drafts at 0.95 emit 11.2 tokens in 2.3 steps: a fifth of the time, without what comes
  // before.
  EXPECT_LT(mean_loss(64, 0.95), -0.45);
  EXPECT_LT(mean_loss(256, 0.95), -0.65);
  EXPECT_LT(mean_loss(512, 0.95), -0.7);
  // At 0.8, 8 rows emit 4.2 tokens in 1.85 steps.
  EXPECT_LT(mean_loss(256, 0.8), -0.35);
}

TEST(AutoPolicy, TakesANarrowWidthWhereFewDraftsStand) {
  PolicyMemory memory;
  Request request;
  request.tokens = 512;
  request.chance = [](std::size_t token) { return token % 3 == 0 ? 0.05 : 0.98; };  // short runs
  Machine machine;
  machine.draft = 0.1;
  const Outcome out = simulate(memory, machine, request);
  EXPECT_LT(out.loss(), -0.1);
  std::size_t narrow = 0;
  for (const ModeChange& change : out.report.changes) narrow += change.to_width > 1 && change.to_width <= 6;
  EXPECT_GT(narrow, 0u);
}

TEST(AutoPolicy, StaysPlainWhereThePassesOfManyRowsCostAsMuchAsTheRows) {
  PolicyMemory memory;
  Request request;
  request.tokens = 256;
  request.chance = [](std::size_t) { return 0.6; };
  Machine machine;
  machine.draft = 0.8;  // a draft nearly as large as its target
  simulate(memory, machine, request);
  const Outcome out = simulate(memory, machine, request);
  EXPECT_LE(out.loss(), kPromise);
  EXPECT_LT(out.report.speculative_cycles, 10u);
}

TEST(AutoPolicy, FollowsATextThatChangesHalfway) {
  for (const std::size_t tokens : {128u, 256u, 512u}) {
    for (const bool better : {false, true}) {
      PolicyMemory memory;
      Request warm;
      warm.chance = always;
      simulate(memory, Machine(), warm);
      Request request;
      request.tokens = tokens;
      request.chance = [&](std::size_t token) { return (token < tokens / 2) == better ? 0.0 : 0.95; };
      const Outcome out = simulate(memory, Machine(), request);
      EXPECT_LE(out.loss(), kPromise) << tokens << " " << better;
      if (!better) {
        EXPECT_LT(out.loss(), -0.15) << "what the first half gained is kept";
        EXPECT_TRUE(has(out.report, ModeReason::kNoGain));
      }
      if (better && tokens == 512) {
        EXPECT_LT(out.loss(), -0.1) << "a probe finds the second half";
      }
    }
  }
}

// A core is taken away for a share of the passes, at random: these take twice as long.
std::function<double(double)> stolen_core(double share, std::uint32_t seed) {
  auto random = std::make_shared<std::mt19937>(seed);
  return [random, share](double) {
    return std::uniform_real_distribution<double>(0, 1)(*random) < share ? 2.0 : 1.0;
  };
}

TEST(AutoPolicy, KeepsThePromiseOnANoisyClock) {
  constexpr int kRuns = 200;
  for (const double chance : {0.0, 0.5, 0.9}) {
    double mean = 0, worst = -1;
    int broken = 0;
    for (std::uint32_t seed = 0; seed < kRuns; ++seed) {
      PolicyMemory memory;
      Request request;
      request.tokens = kLengths[seed % 4];
      request.seed = seed;
      request.chance = [chance](std::size_t) { return chance; };
      request.noise = stolen_core(0.2, seed + 1000);
      const double loss = simulate(memory, Machine(), request).loss();
      mean += loss / kRuns;
      worst = std::max(worst, loss);
      broken += loss > kPromise;
    }
    // When the first three plain steps all fall on a stolen core (once in 125), the promise can be missed by
    // a little: nothing in the request says so.
    EXPECT_LE(mean, kPromise) << chance;
    EXPECT_LE(broken, kRuns / 50) << chance;
    EXPECT_LE(worst, 0.03) << chance;
  }
}

TEST(AutoPolicy, KeepsThePromiseWhenTheMachineSlowsDownForLong) {
  for (const double from : {0.0, 5000.0, 20000.0}) {
    for (const double chance : {0.0, 0.6, 0.95}) {
      PolicyMemory memory;
      Request request;
      request.tokens = 512;
      request.chance = [chance](std::size_t) { return chance; };
      request.noise = [from](double ms) { return ms >= from && ms < from + 20000 ? 1.8 : 1.0; };
      EXPECT_LE(simulate(memory, Machine(), request).loss(), kPromise) << from << " " << chance;
    }
  }
}

TEST(AutoPolicy, MeasuresPlainDecodingAgainAsTheContextGrows) {
  Machine machine;
  machine.growth = 1.0 / 4000;  // attention: one row pays once, sixteen rows nearly sixteen times
  machine.row_growth = 0.8 / 4000;
  for (const double chance : {0.0, 0.7, 0.95}) {
    PolicyMemory memory;
    Request request;
    request.tokens = 3000;
    request.chance = [chance](std::size_t) { return chance; };
    const Outcome out = simulate(memory, machine, request);
    EXPECT_LE(out.loss(), kPromise) << chance;
    EXPECT_NEAR(out.report.plain_ms, out.plain_ms, 0.05 * out.plain_ms) << chance;
    EXPECT_NEAR(out.report.plain_step_ms, machine.target_ms(1, 3000), 0.15 * machine.target_ms(1, 3000));
  }
}

TEST(AutoPolicy, ReportsEachChangeOfWidth) {
  PolicyMemory memory;
  Request request;
  request.tokens = 512;
  request.chance = [](std::size_t token) { return token % 200 < 100 ? 0.9 : 0.0; };
  const Outcome out = simulate(memory, Machine(), request);
  ASSERT_GT(out.report.changes.size(), 3u);
  std::uint32_t width = 1;
  std::size_t cycle = 0;
  for (const ModeChange& change : out.report.changes) {
    EXPECT_EQ(change.from_width, width);
    EXPECT_NE(change.to_width, width);
    EXPECT_TRUE(change.cycle > cycle || &change == &out.report.changes.front());
    EXPECT_LT(change.token, request.tokens);
    width = change.to_width;
    cycle = change.cycle;
  }
  EXPECT_EQ(out.report.changes.front().token, 4u) << "the prompt's token and three plain steps come first";
}

TEST(AutoPolicy, TriesAgainAfterABadExperienceThoughAnswersAreTooShortForAProbe) {
  PolicyMemory memory;
  Request request;
  request.tokens = 60;
  request.chance = never;
  std::size_t drafted = 0;
  for (int i = 0; i < 64; ++i) {
    const Outcome out = simulate(memory, Machine(), request);
    EXPECT_LE(out.loss(), kPromise);
    drafted += out.report.speculative_cycles;
  }
  EXPECT_LE(drafted, 64u);
  request.chance = always;
  double sum = 0;
  for (std::uint32_t i = 0; i < 64; ++i) {
    request.seed = i;
    sum += simulate(memory, Machine(), request).loss() / 64;
  }
  EXPECT_LT(sum, -0.15) << "it finds out within 32 requests";
}

TEST(AutoPolicy, NeedsNoDraftForTheLastToken) {
  PolicyMemory memory;
  AutoPolicy policy(memory, 16, 2);
  policy.begin({10, 100, 0});
  EXPECT_EQ(policy.choose({16, 1, 10, 10, {}}), 1u);
}

TEST(AutoPolicy, HidesLongPromptsFromADraftThatGainedNothing) {
  PolicyMemory memory;
  Request request;
  request.prompt = 1000;
  request.tokens = 64;
  request.chance = never;
  EXPECT_FALSE(has(simulate(memory, Machine(), request).report, ModeReason::kHistory));
  int shown = 0;
  for (int i = 0; i < 8; ++i) {
    AutoPolicy policy(memory, 16, 64);
    shown += policy.wants_draft(1000);
    EXPECT_TRUE(policy.wants_draft(200)) << "rows of a short prompt can wait";
  }
  EXPECT_EQ(shown, 2) << "one in four is a new chance";
}

}  // namespace
}  // namespace kakeya::decode
