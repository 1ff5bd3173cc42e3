// One draft-verify cycle after the other.
#include "decode/speculative.h"

#include <fmt/format.h>

#include <algorithm>

#include "decode/sampler.h"

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
    : target_(target), drafter_(drafter), plan_(std::move(plan)) {
  KAKEYA_CHECK(plan_.max_tokens >= 1 && plan_.block.width >= 1 && plan_.block.width <= plan_.block.block);
  if (!drafting()) drafter_ = nullptr;
}

Result<Token> SpeculativeDecoder::start(std::span<const Token> prompt) {
  if (plan_.policy != nullptr && drafter_ != nullptr && !plan_.policy->wants_draft(prompt.size())) {
    drafter_ = nullptr;
  }
  PrefillTimes times;
  KAKEYA_ASSIGN(const std::size_t unobserved, prefill(target_, drafter_, prompt, plan_.clock, &times));
  if (plan_.policy != nullptr) plan_.policy->begin({prompt.size(), times.target_ms, times.observe_ms});
  prompt_forwards_ = target_.forwards();
  const auto rest = prompt.last(unobserved);
  unsettled_.assign(rest.begin(), rest.end());
  emitted_.assign(1, sample(target_.logits().row(0), plan_.sampling, prompt.size(), scratch_));
  emit();
  return emitted_.back();
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

Status SpeculativeDecoder::observe(std::span<const Token> tokens, Rows<const float> taps) {
  double ms = 0;
  {
    const StopWatch watch(plan_.clock, ms);
    KAKEYA_TRY(drafter_->observe(tokens, taps));
  }
  draft_ms_ += ms;
  if (plan_.policy != nullptr) plan_.policy->observed(tokens.size(), ms);
  return {};
}

Status SpeculativeDecoder::put_aside() {
  const bool full = target_.aside_tokens().size() + unsettled_.size() > kPrefillRows;
  if (drafter_ != nullptr && full) {
    if (!plan_.policy->affords(target_.aside_tokens().size())) {
      drafter_ = nullptr;
    } else {
      KAKEYA_TRY(observe(target_.aside_tokens(), target_.aside_taps()));
    }
    target_.drop_aside();
  }
  if (drafter_ != nullptr) target_.put_aside(unsettled_);
  unsettled_.clear();
  return {};
}

Status SpeculativeDecoder::settle() {
  if (drafter_ != nullptr && !target_.aside_tokens().empty()) {
    KAKEYA_TRY(put_aside());
    if (drafter_ != nullptr) KAKEYA_TRY(observe(target_.aside_tokens(), target_.aside_taps()));
    target_.drop_aside();
  } else if (drafter_ != nullptr && !unsettled_.empty()) {
    KAKEYA_TRY(observe(unsettled_, target_.taps().sub(0, unsettled_.size())));
  }
  unsettled_.clear();
  return {};
}

BlockPlan SpeculativeDecoder::next_block() {
  BlockPlan next;
  next.block = std::min(plan_.block.block, target_.room());
  next.width = std::min(plan_.block.width, next.block);
  if (drafter_ == nullptr) next = {};
  if (plan_.policy != nullptr) {
    CycleRoom room;
    room.rows = next.width;
    room.tokens = plan_.max_tokens - emitted_total_;
    room.unobserved = target_.aside_tokens().size() + unsettled_.size();
    room.context = target_.length();
    next.block = next.width = plan_.policy->choose(room);
  }
  KAKEYA_CHECK(next.width >= 1 && next.width <= std::max<std::size_t>(1, target_.room()));
  return next.width < 2 ? BlockPlan() : next;
}

Result<Rows<const float>> SpeculativeDecoder::propose(const BlockPlan& block) {
  ProposeRequest request;
  request.anchor = block_.front();
  request.block = block.block;
  request.wanted = block.width - 1;
  const bool drawn = plan_.rule == AcceptRule::kRejection && plan_.sampling.temperature > 0;
  request.draw = drawn ? &plan_.sampling : nullptr;
  KAKEYA_ASSIGN(const Proposal proposal, drafter_->propose(request));
  block_.insert(block_.end(), proposal.tokens.begin(), proposal.tokens.end());
  return proposal.q;
}

Verdict SpeculativeDecoder::judge(Rows<const float> q, std::size_t position) {
  VerifyInput input;
  input.logits = target_.logits();
  input.drafts = std::span<const Token>(block_).subspan(1);
  input.position = position;
  input.sampling = plan_.sampling;
  const bool rejection = plan_.rule == AcceptRule::kRejection && plan_.sampling.temperature > 0;
  return rejection ? accept_rejection(input, q, scratch_) : accept_target_sample(input, scratch_);
}

void SpeculativeDecoder::record(const Verdict& verdict, double draft_ms, double target_ms) {
  draft_ms_ += draft_ms;
  verify_ms_ += target_ms;
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
  cost.draft_ms = draft_ms;
  cost.target_ms = target_ms;
  plan_.policy->record(cost);
}

Result<std::span<const Token>> SpeculativeDecoder::step() {
  KAKEYA_CHECK(!emitted_.empty() && !finished_);
  const BlockPlan block = next_block();
  KAKEYA_TRY(plan_.policy != nullptr && block.width < 2 ? put_aside() : settle());
  block_.assign(1, emitted_.back());
  const std::size_t before = target_.length();
  double draft_ms = 0, target_ms = 0;
  Rows<const float> q;
  if (block.width >= 2) {
    const StopWatch watch(plan_.clock, draft_ms);
    KAKEYA_ASSIGN(q, propose(block));
  }
  {
    const StopWatch watch(plan_.clock, target_ms);
    const auto taps = drafter_ != nullptr ? drafter_->tap_layers() : std::span<const std::size_t>();
    KAKEYA_TRY(target_.feed(block_, model::LogitRows::kAll, taps));
  }
  const Verdict verdict = judge(q, before + 1);
  emitted_.assign(block_.begin() + 1, block_.begin() + 1 + static_cast<std::ptrdiff_t>(verdict.accepted));
  emitted_.push_back(verdict.next);
  emit();
  record(verdict, draft_ms, target_ms);
  target_.keep(before + emitted_.size());
  unsettled_.assign(block_.begin(), block_.begin() + static_cast<std::ptrdiff_t>(emitted_.size()));
  return std::span<const Token>(emitted_);
}

}  // namespace kakeya::decode
