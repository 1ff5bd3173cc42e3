// Groups of requests on passes that they share, in simulation.
#include <gtest/gtest.h>

#include "decode/policy_test_support.h"

namespace kakeya::decode {
namespace {

using test::Machine;
using test::Request;
using test::simulate;
using test::simulate_shared;

TEST(SharedPolicy, RequestsThatSharePassesDraftWhereItMakesAllOfThemFaster) {
  // With 16 the first to draft would lose: it pays off only because the others join.
  for (const auto& [count, loss] : {std::pair{2u, -0.3}, {8u, -0.2}, {16u, -0.1}}) {
    PolicyMemory memory;
    Request request;
    request.tokens = 200;
    request.chance = [](std::size_t) { return 0.95; };
    simulate(memory, Machine(), request);  // somebody was alone before
    EXPECT_LE(simulate_shared(memory, Machine(), request, count).loss(), loss) << count << " requests";
  }
}

TEST(SharedPolicy, WhatSharedPassesTaughtOutlivesItsRequests) {
  PolicyMemory memory;
  const Machine machine;
  Request request;
  request.tokens = 200;
  request.chance = [](std::size_t) { return 0.95; };
  simulate(memory, machine, request);
  for (request.seed = 1; request.seed <= 3; ++request.seed) {
    EXPECT_LE(simulate_shared(memory, machine, request, 16).loss(), -0.1) << "group " << request.seed;
  }
  EXPECT_NEAR(memory.curve.shared_ms(64), machine.target_ms(64, 0), 0.05 * machine.target_ms(64, 0));
}

// Whose first drafts fell by chance would decode plainly to its end, in passes of a draft that is paid for.
TEST(SharedPolicy, ARequestThatGaveUpTriesAgainBesideOthersThatDraft) {
  PolicyMemory memory;
  Request request;
  request.tokens = 200;
  request.chance = [](std::size_t) { return 0.8; };
  simulate(memory, Machine(), request);
  for (request.seed = 1; request.seed <= 6; ++request.seed) {
    EXPECT_LE(simulate_shared(memory, Machine(), request, 8).loss(), -0.1) << "group " << request.seed;
  }
}

TEST(SharedPolicy, RequestsThatSharePassesLoseLittleToDraftsThatFail) {
  for (const std::size_t count : {2u, 8u, 32u}) {
    PolicyMemory memory;
    Request request;
    request.tokens = 200;
    request.chance = [](std::size_t) { return 0.0; };
    simulate(memory, Machine(), request);
    for (int again = 0; again < 3; ++again) {
      EXPECT_LE(simulate_shared(memory, Machine(), request, count).loss(), 0.02)
          << count << " requests, time " << again;
    }
  }
}

// Short answers, one group of requests after the other, on machines where drafts cost little or much and
// stand often or seldom: what is lost while learning stays small, and what can be gained is gained.
TEST(SharedPolicy, GroupsOfShortRequestsLoseLittleAndGainWhereDraftsPay) {
  for (const double draft : {0.3, 0.8, 1.5}) {
    for (const double chance : {0.5, 0.7, 0.95}) {
      for (const std::size_t count : {2u, 4u, 8u, 16u}) {
        PolicyMemory memory;
        Request request;
        request.tokens = 60;
        request.chance = [chance](std::size_t) { return chance; };
        Machine machine;
        machine.draft = draft;
        machine.draft_row = 0.01 + draft / 30;
        machine.row_growth = 0.05 / static_cast<double>(request.prompt);
        simulate(memory, machine, request);  // somebody was alone before
        double loss = 0;
        for (request.seed = 1; request.seed <= 12; ++request.seed) {
          loss += simulate_shared(memory, machine, request, count).loss() / 12;
        }
        EXPECT_LE(loss, 0.08) << count << " requests, draft " << draft << ", chance " << chance;
        if (draft < 1 && chance > 0.9 && count <= 4) {
          EXPECT_LE(loss, -0.15) << count << " requests, draft " << draft;
        }
      }
    }
  }
}

TEST(SharedPolicy, ARequestThatLearnedNothingLeavesTheMemoryOfOthersAlone) {
  PolicyMemory memory;
  AutoPolicy blind(memory, 16, 8);  // starts before anything is known
  blind.begin({10, 100, 0});
  Request request;
  request.chance = [](std::size_t) { return 0.95; };
  simulate(memory, Machine(), request);
  ASSERT_TRUE(memory.curve.plain_known());
  const double tokens = memory.acceptance.expected_tokens(8);
  CycleCost cost;
  cost.emitted = 1;
  cost.shared = true;
  cost.pass = 1;
  cost.sequences = 2;
  cost.pass_rows = 2;
  cost.target_ms = 150;
  blind.record(cost);
  blind.finish();
  EXPECT_TRUE(memory.curve.plain_known());
  EXPECT_EQ(memory.acceptance.expected_tokens(8), tokens);
}

// While others wait, what the draft observes for the next request is paid from what the account has.
TEST(SharedPolicy, ObservingAfterTheEndIsChargedToTheAccountOfAll) {
  PolicyMemory memory;
  Request request;
  simulate(memory, Machine(), request);
  CycleCost plain;
  plain.emitted = 1;
  plain.shared = true;
  plain.sequences = plain.pass_rows = 2;
  plain.target_ms = Machine().target_ms(2, 40);
  const auto ended = [&](std::size_t cycles) {
    AutoPolicy policy(memory, 16, 400);
    policy.begin({40, 100, 0});
    for (std::size_t i = 0; i < cycles; ++i) {
      plain.pass = memory.last_pass + 1;
      policy.record(plain);
    }
    policy.finish();
    return policy;
  };
  EXPECT_TRUE(ended(0).affords(100)) << "it was alone: nobody waits";
  EXPECT_FALSE(ended(1).affords(100));
  AutoPolicy late = ended(400);
  EXPECT_TRUE(late.affords(100));
  for (int i = 0; i < 8; ++i) late.observed(100, Machine().observe_ms(100) * 3);
  EXPECT_FALSE(late.affords(100));
}

// A pass that is full of rows: each further row takes as long as the others, and a draft on top.
TEST(SharedPolicy, RequestsThatFillThePassesDecodePlainly) {
  PolicyMemory memory;
  Request request;
  request.tokens = 200;
  request.chance = [](std::size_t) { return 0.6; };
  Machine machine;
  simulate(memory, machine, request);
  machine.row_growth = 0.25 / static_cast<double>(request.prompt);
  simulate_shared(memory, machine, request, 16);
  const auto out = simulate_shared(memory, machine, request, 16);
  EXPECT_LE(out.loss(), 0.02);
  EXPECT_LE(out.drafts, 16u);
}

}  // namespace
}  // namespace kakeya::decode
