// One draft-verify cycle after the other.
#include "decode/speculative.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "decode/logprobs.h"

namespace kakeya::decode {

Result<BlockPlan> plan_block(std::size_t draft_block, std::size_t block_size, std::size_t verify_width) {
  BlockPlan plan;
  plan.block = block_size == 0 ? draft_block : block_size;
  plan.width = verify_width == 0 ? plan.block : verify_width;
  if (plan.block > kMaxBlock) {
    return invalid_argument(fmt::format("block_size is {}, expected at most {}", plan.block, kMaxBlock));
  }
  if (plan.width > plan.block) {
    return invalid_argument(
        fmt::format("verify_width is {}, expected at most block_size, which is {}: a draft of {} positions "
                    "proposes {} tokens",
                    plan.width, plan.block, plan.block, plan.block - 1));
  }
  return plan;
}

SpeculativeDecoder::SpeculativeDecoder(TargetRun& target, Drafter* drafter, DecodePlan plan)
    : target_(target), drafter_(drafter), plan_(std::move(plan)), rules_({}, {}, {}) {
  KAKEYA_CHECK(plan_.block.width >= 1 && plan_.block.width <= plan_.block.block);
  if (!drafting()) drafter_ = nullptr;
}

void SpeculativeDecoder::begin(std::span<const Token> prompt, std::size_t kept) {
  KAKEYA_CHECK(kept < prompt.size() && (kept == 0 || plan_.prompt_logprobs < 0));
  if (plan_.policy != nullptr && drafter_ != nullptr && !plan_.policy->wants_draft(prompt.size() - kept)) {
    drafter_->begin(kept);
    drafter_ = nullptr;
  }
  target_.begin(kept);
  if (drafter_ != nullptr) drafter_->begin(kept);
  rules_ = RowRules(plan_.rules, plan_.stops.ids(), prompt);
  prompt_ = prompt.subspan(kept);
  prompt_cost_ = {};
  prompt_cost_.tokens = prompt_.size();
  prompt_cost_.kept = kept;
}

Result<Feed> SpeculativeDecoder::prepare(std::size_t prompt_rows) {
  Feed feed;
  if (drafter_ != nullptr) feed.taps = drafter_->tap_layers();
  if (in_prompt()) {
    piece_ = std::min({prompt_rows, kPrefillRows, prompt_.size()});
    feed.tokens = prompt_.first(piece_);
    if (piece_ == prompt_.size()) feed.rows = model::LogitRows::kLast;
    if (plan_.prompt_logprobs >= 0) {
      piece_ = std::min(piece_, kScoredRows);
      feed.tokens = prompt_.first(piece_);
      feed.rows = model::LogitRows::kAll;
    }
    return feed;
  }
  if (!planned_) KAKEYA_TRY(plan());
  KAKEYA_TRY(draft_alone());
  feed.tokens = block_;
  feed.rows = model::LogitRows::kAll;
  if (drafter_ == nullptr) feed.taps = {};  // put_aside may have given it up
  return feed;
}

Result<std::span<const Token>> SpeculativeDecoder::absorb(const PassTime& time) {
  if (!in_prompt()) {
    KAKEYA_TRY(absorb_cycle(time));
    return std::span<const Token>(emitted_);
  }
  KAKEYA_TRY(absorb_piece(time));
  return in_prompt() ? std::span<const Token>() : std::span<const Token>(emitted_);
}

Status SpeculativeDecoder::absorb_piece(const PassTime& time) {
  const auto piece = prompt_.first(piece_);
  target_.keep(target_.length());
  prompt_cost_.target_ms += time.ms;
  if (plan_.prompt_logprobs >= 0) note_prompt_logprobs();
  prompt_ = prompt_.subspan(piece_);
  if (!in_prompt()) {
    unsettled_.assign(piece.begin(), piece.end());
    first_token();
    return {};
  }
  if (drafter_ == nullptr) return {};
  const StopWatch watch(plan_.clock, prompt_cost_.observe_ms);
  prompt_cost_.observed_rows += piece.size();
  ++prompt_cost_.observed_pieces;
  return drafter_->observe(piece, target_.taps());
}

void SpeculativeDecoder::first_token() {
  if (plan_.policy != nullptr) plan_.policy->begin(prompt_cost_);
  prompt_forwards_ = target_.forwards();
  if (plan_.max_tokens == 0) {
    finished_ = FinishReason::kLength;
    return;
  }
  const std::size_t last_row = target_.logits().rows - 1;
  VerifyInput input;
  input.logits = target_.logits().sub(last_row, 1);
  input.position = target_.length();
  input.sampling = plan_.sampling;
  input.rules = &rules_;
  emitted_.assign(1, accept_target_sample(input, scratch_).next);
  emit();
  note_logprobs(last_row);
}

Status SpeculativeDecoder::pass(std::span<const Token>& out) {
  KAKEYA_ASSIGN(const Feed feed, prepare());
  PassTime time;
  {
    const StopWatch watch(plan_.clock, time.ms);
    KAKEYA_TRY(target_.feed(feed.tokens, feed.rows, feed.taps));
  }
  KAKEYA_ASSIGN(out, absorb(time));
  return {};
}

Result<Token> SpeculativeDecoder::start(std::span<const Token> prompt) {
  KAKEYA_CHECK(!prompt.empty());
  begin(prompt, 0);
  std::span<const Token> first;
  while (first.empty()) KAKEYA_TRY(pass(first));
  return first.front();
}

void SpeculativeDecoder::emit() {
  const std::size_t stop = plan_.stops.kept(emitted_);
  const bool stopped = plan_.stops.is_stop(emitted_[stop - 1]);
  const std::size_t budget = plan_.max_tokens - emitted_total_;
  const std::size_t kept = std::min(stop, budget);
  emitted_.resize(kept);
  emitted_total_ += kept;
  if (stopped && stop <= budget) {
    finished_ = FinishReason::kStop;
  } else if (emitted_total_ == plan_.max_tokens) {
    finished_ = FinishReason::kLength;
  }
}

Verdict SpeculativeDecoder::judge(Rows<const float> q, std::size_t position) {
  VerifyInput input;
  input.logits = target_.logits();
  input.drafts = std::span<const Token>(block_).subspan(1);
  input.position = position;
  input.sampling = plan_.sampling;
  input.rules = &rules_;
  const bool rejection = plan_.rule == AcceptRule::kRejection && plan_.sampling.temperature > 0;
  return rejection ? accept_rejection(input, q, scratch_) : accept_target_sample(input, scratch_);
}

void SpeculativeDecoder::record(const Verdict& verdict, const PassTime& time) {
  draft_ms_ += draft_time_.ms;
  verify_ms_ += time.ms;
  const std::size_t proposed = block_.size() - 1;
  if (drafter_ != nullptr || plan_.policy != nullptr) {
    cycles_.push_back({static_cast<std::uint32_t>(proposed), static_cast<std::uint32_t>(verdict.accepted),
                       static_cast<std::uint32_t>(emitted_.size())});
  }
  if (plan_.policy == nullptr) return;
  CycleCost cost;
  cost.rows = block_.size();
  cost.proposed = proposed;
  cost.accepted = verdict.accepted;
  cost.emitted = emitted_.size();
  cost.draft_ms = draft_time_.ms;
  cost.target_ms = time.ms;
  cost.shared = time.shared || draft_time_.rows > 0;
  cost.pass = time.pass;
  cost.sequences = time.sequences;
  cost.drafted_ms = time.drafted_ms;
  cost.pass_rows = time.rows;
  cost.block_rows = draft_time_.rows;
  cost.observed_rows = observe_time_.rows;
  cost.observe_ms = observe_time_.ms;
  plan_.policy->record(cost);
}

void SpeculativeDecoder::note_logprobs(std::size_t first_row) {
  logprobs_.clear();
  if (plan_.logprobs < 0) return;
  for (std::size_t i = 0; i < emitted_.size(); ++i) {
    logprobs_.push_back(logprob_of(target_.logits().row(first_row + i), emitted_[i], plan_.logprobs));
  }
}

// A row of the prompt predicts the token behind it.
void SpeculativeDecoder::note_prompt_logprobs() {
  for (std::size_t i = 0; i < piece_ && i + 1 < prompt_.size(); ++i) {
    prompt_logprobs_.push_back(logprob_of(target_.logits().row(i), prompt_[i + 1], plan_.prompt_logprobs));
  }
}

Status SpeculativeDecoder::absorb_cycle(const PassTime& time) {
  const std::size_t before = target_.length() - block_.size();
  const Verdict verdict = judge(drawn_from_, before + 1);
  ++steps_;
  planned_ = false;
  emitted_.assign(block_.begin() + 1, block_.begin() + 1 + static_cast<std::ptrdiff_t>(verdict.accepted));
  emitted_.push_back(verdict.next);
  emit();
  accepted_ = std::min(verdict.accepted, emitted_.size());
  note_logprobs(0);
  record(verdict, time);
  target_.keep(before + emitted_.size());
  unsettled_.assign(block_.begin(), block_.begin() + static_cast<std::ptrdiff_t>(emitted_.size()));
  return {};
}

Result<std::span<const Token>> SpeculativeDecoder::step() {
  std::span<const Token> out;
  KAKEYA_TRY(pass(out));
  return out;
}

}  // namespace kakeya::decode
