// Shared cycles: several sequences in one pass. docs/decisions/0012-shared-passes.md.
#include <algorithm>
#include <cmath>

#include "decode/auto_policy.h"
#include "decode/target_run.h"

namespace kakeya::decode {
namespace {

// As alone; the account bounds what a curve that is a little wrong can cost.
constexpr double kSharedStartThreshold = 1.03, kSharedStayThreshold = 1.0;
// Tokens that a request has before it at least, when those before it were no longer.
constexpr double kLeastRest = 8;
// Of a short cycle: sequences that expect fewer tokens do not join the others' drafts.
constexpr std::size_t kHopefulWidth = 4;
constexpr double kHopefulTokens = 2;

}  // namespace

bool AutoPolicy::hopeful() const {
  return !hidden_ && shared_curve().plain_known() &&
         acceptance_.expected_tokens(kHopefulWidth) >= kHopefulTokens;
}

double AutoPolicy::shared_rate(const Load& load, double entry_ms) const {
  double ms = entry_ms + shared_curve().shared_ms(load.rows);
  if (load.block_rows > 0) ms += shared_curve().draft_ms(load.block_rows);
  ms += shared_curve().observe_ms(static_cast<std::size_t>(std::lround(load.observed)));
  return load.tokens / ms;
}

// Rows that wait since plain steps, or since the prompt, are observed once: their time is spread over the
// cycles that the rest of the request will take.
double AutoPolicy::entry_ms(const CycleRoom& room, double tokens) const {
  const double extra = static_cast<double>(room.unobserved) - tokens;
  if (extra < 1) return 0;
  double rest = static_cast<double>(room.tokens);
  if (memory_.lengths.size() > 0) {
    rest = std::min(rest, std::max(kLeastRest, memory_.lengths.typical() - static_cast<double>(token_)));
  }
  return shared_curve().observe_ms(static_cast<std::size_t>(extra)) / std::max(1.0, rest / tokens);
}

std::size_t AutoPolicy::best_shared(const CycleRoom& room, double least, std::size_t followers) const {
  std::size_t best = 1;
  const double joining = static_cast<double>(followers + 1);
  for (const std::size_t width : widths_) {
    const std::size_t more = followers * (width - 1);
    if (width > std::min(room.rows, room.tokens) || room.others.all.rows + more + width > kPrefillRows) break;
    const double tokens = acceptance_.expected_tokens(width);
    Load load = room.others.all;
    load.add({width + more, joining * tokens - static_cast<double>(followers), (followers + 1) * width,
              joining * tokens});
    const double rate = shared_rate(load, joining * entry_ms(room, tokens));
    if (rate <= least) continue;
    least = rate;
    best = width;
  }
  return best;
}

// The width that makes all sequences of the pass fastest together: a row that is cheap for one is dear when
// the others fill the pass already. A draft pass may pay for many where it does not for the first. And where
// all draft, each alone loses by leaving, though all together would gain: the others are asked about, too.
AutoPolicy::Choice AutoPolicy::decide_shared(const CycleRoom& room) {
  probing_ = false;
  if (hidden_) return {1, ModeReason::kHistory};
  if (!shared_curve().plain_known()) return {1, ModeReason::kMeasure};
  if (std::min(room.rows, room.tokens) < 2) return {1, ModeReason::kEnd};
  if (!memory_.shared_account.allows(shared_curve().plain_ms())) return {1, ModeReason::kBudget};
  const Load own = {1, 1, 0, 0};
  Load now = room.others.all, yielded = room.others.yielded();
  now.add(own);
  yielded.add(own);
  const double plain = std::max(shared_rate(now), shared_rate(yielded));
  std::size_t best =
      best_shared(room, (width_ > 1 ? kSharedStayThreshold : kSharedStartThreshold) * plain, 0);
  if (best == 1 && room.others.hopeful > 0 && hopeful()) {
    best = best_shared(room, kSharedStartThreshold * plain, room.others.hopeful);
  }
  // Nobody knows yet whether drafts stand: the account pays for one look.
  if (best == 1 && !acceptance_.has_evidence()) {
    return {std::min({kHopefulWidth, room.rows, room.tokens}), ModeReason::kProbe};
  }
  // A few rows on top of the others' drafts cost little, and a text may change.
  if (best == 1 && room.others.all.block_rows > 0 && token_ >= last_draft_token_ + probe_wait_) {
    probing_ = true;
    return {std::min({kHopefulWidth, room.rows, room.tokens}), ModeReason::kProbe};
  }
  if (best == 1) return {1, ModeReason::kNoGain};
  return {best, width_ > 1 ? ModeReason::kWidth : ModeReason::kGain};
}

// Charged to an account of all requests, by what plain decoding of the same sequences would have taken: what
// one of them loses in a pass cannot be told.
void AutoPolicy::record_shared(const CycleCost& cost) {
  leave_curve();
  CostCurve& curve = memory_.curve;
  if (cost.pass_rows > 1 && cost.pass != memory_.last_pass) {
    memory_.last_pass = cost.pass;
    curve.add_shared(cost.pass_rows, cost.target_ms);
  }
  if (cost.block_rows > 1 && cost.pass != memory_.last_draft_pass) {
    memory_.last_draft_pass = cost.pass;
    curve.add_draft(cost.block_rows, cost.draft_ms);
    if (cost.observed_rows > 0) curve.add_observe(cost.observed_rows, cost.observe_ms);
  }
  if (cost.rows > 1 && cost.block_rows == 0)
    curve.add_draft(cost.rows, cost.draft_ms);  // nobody else drafted
  sharing_ = true;
  if (cost.pass_rows > 1 && curve.plain_known()) {
    const double share = 1 / static_cast<double>(cost.sequences);
    const double plain = static_cast<double>(cost.emitted) * curve.shared_ms(cost.sequences) * share;
    const double ms = cost.drafted_ms > 0 ? (cost.target_ms + cost.drafted_ms) * share : plain;
    memory_.shared_account.add(plain, ms, curve.plain_ms());
  }
  ++(cost.rows == 1 ? report_.plain_cycles : report_.speculative_cycles);
  if (probing_) judge_probe(static_cast<double>(cost.emitted) >= kHopefulTokens);
  if (cost.proposed > 0) acceptance_.record(cost.proposed, cost.accepted);
}

}  // namespace kakeya::decode
