// A machine and a text in simulation: what passes take and how many drafts stand. Time is a number that the
// simulation adds up; nothing waits. Included by *_test.cc only.
#pragma once
#include <functional>
#include <memory>
#include <random>

#include "decode/auto_policy.h"
#include "decode/target_run.h"

namespace kakeya::decode::test {

// Milliseconds of an 8-billion model with 4-bit weights on two cores, as measured: a plain step 145, 8 rows
// 1.45 times and 16 rows 1.8 times as long, a draft pass 0.3 to 0.5 steps, observing 2 ms for one row and a
// quarter each for many.
struct Machine {
  double plain = 145, draft = 0.3, draft_row = 0.01, prompt_row = 16;
  double growth = 0;      // share of a step that a token of context adds
  double row_growth = 0;  // the same for each further row of a pass
  double target_ms(std::size_t rows, std::size_t context) const {
    const double extra =
        rows <= 8 ? 0.0643 * static_cast<double>(rows - 1) : 0.45 + 0.04375 * static_cast<double>(rows - 8);
    const double longer =
        static_cast<double>(context) * (growth + row_growth * static_cast<double>(rows - 1));
    return plain * (1 + extra + longer);
  }
  double draft_ms(std::size_t block) const {
    return plain * (draft + draft_row * static_cast<double>(block));
  }
  double observe_ms(std::size_t rows) const { return plain * (0.012 + 0.0017 * static_cast<double>(rows)); }
};

struct Request {
  std::size_t prompt = 40, tokens = 256, block = 16;
  // Chance that a draft stands, by the index of the token it is for.
  std::function<double(std::size_t token)> chance = [](std::size_t) { return 0.0; };
  // Factor on the time of a pass that starts at `ms`.
  std::function<double(double ms)> noise = [](double) { return 1.0; };
  std::uint32_t seed = 1;
};

// Both times are without noise: it misleads the policy, and is no part of what its decisions cost.
struct Outcome {
  double total_ms = 0;  // prompt, drafts, passes
  double plain_ms = 0;  // the same request by plain decoding
  PolicyReport report;
  double loss() const { return total_ms / plain_ms - 1; }
};

inline Outcome simulate(PolicyMemory& memory, const Machine& machine, const Request& request) {
  AutoPolicy policy(memory, request.block, request.tokens);
  std::mt19937 random(request.seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  Outcome out;
  PromptCost prompt{request.prompt, machine.prompt_row * static_cast<double>(request.prompt), 0};
  bool drafting = policy.wants_draft(request.prompt);
  std::size_t unobserved = request.prompt;
  while (drafting && unobserved > kPrefillRows) {
    prompt.observe_ms += machine.observe_ms(kPrefillRows);
    prompt.observed_rows += kPrefillRows;
    ++prompt.observed_pieces;
    unobserved -= kPrefillRows;
  }
  policy.begin(prompt);
  out.total_ms = prompt.target_ms + prompt.observe_ms;
  out.plain_ms = prompt.target_ms;
  double now = out.total_ms;  // the noisy clock
  const auto spend = [&](double ms) {
    out.total_ms += ms;
    ms *= request.noise(now);
    now += ms;
    return ms;
  };
  const auto observe = [&] {
    if (!drafting) return;
    policy.observed(unobserved, spend(machine.observe_ms(unobserved)));
    unobserved = 0;
  };
  for (std::size_t emitted = 1; emitted < request.tokens;) {
    const std::size_t context = request.prompt + emitted;
    const std::size_t width =
        policy.choose({drafting ? request.block : 1, request.tokens - emitted, unobserved, context, {}});
    CycleCost cost;
    cost.rows = width;
    cost.proposed = width - 1;
    if (width > 1) {
      observe();
      cost.draft_ms = spend(machine.draft_ms(width));
    } else if (drafting && unobserved >= kPrefillRows) {
      if (policy.affords(unobserved)) {
        observe();
      } else {
        drafting = false;
      }
    }
    cost.target_ms = spend(machine.target_ms(width, context));
    while (cost.accepted < cost.proposed && uniform(random) < request.chance(emitted + cost.accepted)) {
      ++cost.accepted;
    }
    cost.emitted = std::min(cost.accepted + 1, request.tokens - emitted);
    for (std::size_t i = 0; i < cost.emitted; ++i) out.plain_ms += machine.target_ms(1, context + i);
    emitted += cost.emitted;
    unobserved += cost.emitted;
    policy.record(cost);
  }
  policy.finish();
  out.report = policy.report();
  return out;
}

// `count` requests that run at the same time on passes that they share.
struct SharedOutcome {
  double total_ms = 0, plain_ms = 0;  // of the same requests without drafts
  std::size_t drafts = 0;
  double loss() const { return total_ms / plain_ms - 1; }
};

inline SharedOutcome simulate_shared(PolicyMemory& memory, const Machine& machine, const Request& request,
                                     std::size_t count) {
  struct Runner {
    std::unique_ptr<AutoPolicy> policy;
    std::size_t emitted = 1, width = 1;
    Others usual() const {
      if (width == 1) return {{1, 1, 0, 0}, {}, 0, policy->hopeful() ? 1u : 0u};
      const double tokens = policy->expected_tokens(width);
      const Load own = {width, tokens, width, tokens};
      return {own, own, 1, 0};
    }
  };
  std::vector<Runner> runners(count);
  Others all;
  for (Runner& runner : runners) {
    runner.policy = std::make_unique<AutoPolicy>(memory, request.block, request.tokens);
    runner.policy->begin({request.prompt, machine.prompt_row * static_cast<double>(request.prompt), 0});
    all.add(runner.usual());
  }
  std::mt19937 random(request.seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  SharedOutcome out;
  const double plain = machine.target_ms(count, request.prompt);
  out.plain_ms = plain * static_cast<double>(request.tokens - 1);
  std::uint64_t number = memory.last_pass;
  for (bool busy = true; busy;) {
    busy = false;
    ++number;
    std::size_t rows = 0, blocks = 0, sequences = 0;
    for (Runner& runner : runners) {
      if (runner.emitted >= request.tokens) continue;
      all.remove(runner.usual());
      CycleRoom room{request.block, request.tokens - runner.emitted, 1, request.prompt, all};
      if (all.none())
        room.others = {{1, 1, 0, 0}, {}, 0, 0};  // the end of the last one is not what is asked about
      runner.width = runner.policy->choose(room);
      all.add(runner.usual());
      rows += runner.width;
      ++sequences;
      if (runner.width > 1) blocks += runner.width;
    }
    const double draft = blocks > 0 ? machine.draft_ms(blocks) : 0,
                 seen = blocks > 0 ? machine.observe_ms(blocks) : 0;
    const double pass = rows > 0 ? machine.target_ms(rows, request.prompt) : 0;
    out.total_ms += draft + seen + pass;
    for (Runner& runner : runners) {
      if (runner.emitted >= request.tokens) continue;
      busy = true;
      CycleCost cost;
      cost.rows = runner.width;
      cost.proposed = runner.width - 1;
      while (cost.accepted < cost.proposed && uniform(random) < request.chance(0)) ++cost.accepted;
      cost.emitted = std::min(cost.accepted + 1, request.tokens - runner.emitted);
      cost.draft_ms = draft;
      cost.target_ms = pass;
      cost.shared = true;
      cost.pass = number;
      cost.sequences = sequences;
      cost.drafted_ms = draft + seen;
      cost.pass_rows = rows;
      cost.block_rows = cost.observed_rows = runner.width > 1 ? blocks : 0;
      cost.observe_ms = runner.width > 1 ? seen : 0;
      out.drafts += cost.proposed > 0 ? 1 : 0;
      all.remove(runner.usual());
      runner.emitted += cost.emitted;
      runner.policy->record(cost);
      if (runner.emitted < request.tokens) all.add(runner.usual());
    }
  }
  for (Runner& runner : runners) runner.policy->finish();
  return out;
}

}  // namespace kakeya::decode::test
