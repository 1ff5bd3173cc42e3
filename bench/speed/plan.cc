#include "speed/plan.h"

#include <fmt/format.h>
#include <kakeya/options.h>

#include <algorithm>
#include <cmath>

namespace kakeya::speed {
namespace {

// Positions a test needs beyond its depth.
std::size_t positions(const Test& test, std::size_t block) {
  // Cycles end with the one that reaches n_gen, and the last block is drafted beyond it.
  if (test.kind == TestKind::kSimulated) return test.n_gen + test.n_rows + block;
  return test.tokens();
}

// Widths a verifier can have with this block, from the cost curve; the whole block where there is none.
std::vector<std::size_t> verify_widths(const Options& options, std::size_t block) {
  std::vector<std::size_t> out;
  const double fewest = std::max(2.0, *options.simulated_tokens);
  for (const std::size_t rows : options.rows) {
    if (rows <= block && static_cast<double>(rows) >= fewest) out.push_back(rows);
  }
  if (out.empty()) out.push_back(block);
  return out;
}

void add_depth(const Options& o, std::size_t depth, std::size_t block, std::vector<Group>& out) {
  const auto alone = [&](Test test) {
    test.depth = depth;
    out.push_back({test});
  };
  for (const std::size_t n : o.prompts) {
    if (n > 0) alone({.kind = TestKind::kPrompt, .n_prompt = n});
  }
  for (const std::size_t n : o.gens) {
    if (n > 0) alone({.kind = TestKind::kGenerate, .n_gen = n});
  }
  for (const auto& [prompt, gen] : o.prompt_gens) {
    alone({.kind = TestKind::kPromptGen, .n_prompt = prompt, .n_gen = gen});
  }
  Group curve;
  for (const std::size_t rows : o.rows) {
    if (rows > 0) curve.push_back({.kind = TestKind::kRows, .depth = depth, .n_rows = rows});
  }
  if (block > 0 && !curve.empty()) {
    curve.push_back({.kind = TestKind::kPropose, .depth = depth, .n_rows = block});
    curve.push_back({.kind = TestKind::kObserve, .depth = depth, .n_rows = 1});
    curve.push_back({.kind = TestKind::kObserve, .depth = depth, .n_rows = block});
  }
  if (!curve.empty()) out.push_back(curve);
  if (!o.simulated_tokens) return;
  for (const std::size_t n : o.gens) {
    for (const std::size_t width : verify_widths(o, block)) {
      if (n == 0) continue;
      alone({.kind = TestKind::kSimulated,
             .n_gen = n,
             .n_rows = width,
             .simulated_tokens = *o.simulated_tokens});
    }
  }
}

Status check_simulation(const Options& o, std::size_t block) {
  if (!o.simulated_tokens) return {};
  if (block == 0)
    return invalid_argument("--simulate-acceptance: it runs a real draft, name one with --draft");
  const double mean = *o.simulated_tokens;
  if (!std::isfinite(mean) || mean < 1 || mean > static_cast<double>(block)) {
    return invalid_argument(fmt::format(
        "--simulate-acceptance: found {} tokens a cycle, expected 1 to {}, the block of the draft", mean,
        block));
  }
  return {};
}

}  // namespace

Result<std::vector<Group>> make_plan(const Options& options, const PlanFor& target) {
  std::size_t block = target.draft_block;
  if (block > 0 && options.block_size > 0) block = options.block_size;
  if (target.draft_block > 0 && (block < 2 || block > kMaxBlockSize)) {
    return invalid_argument(
        fmt::format("--block-size: found {}, expected 2 to {}", options.block_size, kMaxBlockSize));
  }
  KAKEYA_TRY(check_simulation(options, block));
  std::vector<std::size_t> depths = options.depths;
  std::stable_sort(depths.begin(), depths.end());
  std::vector<Group> out;
  for (const std::size_t depth : depths) add_depth(options, depth, block, out);
  for (const Group& group : out) {
    for (const Test& test : group) {
      const std::size_t needed = positions(test, block);
      if (test.depth <= target.context && needed <= target.context - test.depth) continue;
      return invalid_argument(fmt::format("{}: it needs {} positions, expected at most {}, the context of {}",
                                          test.name(), test.depth + needed, target.context, target.model));
    }
  }
  if (out.empty()) return invalid_argument("bench speed: no test is left; -p, -n, -pg and --rows are all 0");
  return out;
}

}  // namespace kakeya::speed
