// The draft's part of a cycle: how wide it is, what the draft observes and proposes.
#include <algorithm>

#include "base/check.h"
#include "decode/speculative.h"

namespace kakeya::decode {

std::size_t SpeculativeDecoder::rows_due() const {
  if (in_prompt()) return prompt_.size();
  // A policy takes what room there is.
  return drafter_ == nullptr || plan_.policy != nullptr ? 1 : plan_.block.width;
}

Others SpeculativeDecoder::usual() const {
  const bool choosing = drafter_ != nullptr && plan_.policy != nullptr;
  Others out;
  Load& own = out.all;
  own.rows = planned_ ? block_.size() + part_.request.wanted : std::max<std::size_t>(1, block_.size());
  if (own.rows == 1) {
    own.tokens = 1;
    out.hopeful = choosing && plan_.policy->hopeful();
    return out;
  }
  own.block_rows = own.rows;
  own.tokens = choosing ? plan_.policy->expected_tokens(own.rows)
                        : static_cast<double>(std::max<std::size_t>(1, emitted_total_)) /
                              static_cast<double>(steps_ + 1);
  own.observed = own.tokens;
  if (choosing) {
    out.yielding = own;
    out.yields = 1;
  }
  return out;
}

Status SpeculativeDecoder::plan(const Others& others, std::size_t max_rows) {
  KAKEYA_CHECK(!in_prompt() && !emitted_.empty() && !finished_ && !planned_ && max_rows >= rows_due());
  const BlockPlan block = next_block(others, max_rows);
  planned_ = true;
  block_.assign(1, emitted_.back());
  part_ = {};
  draft_time_ = observe_time_ = {};
  drawn_from_ = {};
  if (plan_.policy != nullptr && block.width < 2) {
    KAKEYA_TRY(put_aside());
  } else {
    KAKEYA_TRY(wait_for_observing(part_));
  }
  if (block.width >= 2) {
    part_.request = {.anchor = block_.front(), .block = block.block, .wanted = block.width - 1};
    const bool drawn = plan_.rule == AcceptRule::kRejection && plan_.sampling.temperature > 0;
    if (drawn) part_.request.draw = &plan_.sampling;
  }
  return {};
}

void SpeculativeDecoder::observed(const DraftTime& time) {
  KAKEYA_CHECK(planned_ && !part_.tokens.empty());
  forget_waiting();
  part_.tokens = {};
  observe_time_ = time;
  draft_ms_ += time.ms;
}

void SpeculativeDecoder::drafted(const Proposal& proposal, const DraftTime& time) {
  KAKEYA_CHECK(planned_ && part_.tokens.empty() && proposal.tokens.size() == part_.request.wanted);
  part_.request = {};
  block_.insert(block_.end(), proposal.tokens.begin(), proposal.tokens.end());
  drawn_from_ = proposal.q;
  draft_time_ = time;
}

Status SpeculativeDecoder::draft_alone() {
  if (!part_.tokens.empty()) {
    KAKEYA_TRY(observe(part_.tokens, part_.taps));
    observed({});  // the time is counted
  }
  if (part_.request.block == 0) return {};
  DraftTime time;
  Proposal proposal;
  {
    const StopWatch watch(plan_.clock, time.ms);
    KAKEYA_ASSIGN(proposal, drafter_->propose(part_.request));
  }
  drafted(proposal, time);
  return {};
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

Status SpeculativeDecoder::wait_for_observing(DraftPart& part) {
  if (drafter_ != nullptr && !target_.aside_tokens().empty()) KAKEYA_TRY(put_aside());
  if (drafter_ == nullptr) return {};
  if (!target_.aside_tokens().empty()) {
    part.tokens = target_.aside_tokens();
    part.taps = target_.aside_taps();
  } else if (!unsettled_.empty()) {
    part.tokens = unsettled_;
    part.taps = target_.taps().sub(0, unsettled_.size());
  }
  return {};
}

void SpeculativeDecoder::forget_waiting() {
  target_.drop_aside();
  unsettled_.clear();
}

Status SpeculativeDecoder::settle() {
  DraftPart part;
  KAKEYA_TRY(wait_for_observing(part));
  if (!part.tokens.empty()) KAKEYA_TRY(observe(part.tokens, part.taps));
  forget_waiting();
  return {};
}

Status SpeculativeDecoder::settle_or_leave() {
  const std::size_t rows = target_.aside_tokens().size() + unsettled_.size();
  const bool now = drafter_ == nullptr || plan_.policy == nullptr || rows > kPrefillRows;
  if (now || plan_.policy->affords(rows)) return settle();
  target_.put_aside(unsettled_);
  unsettled_.clear();
  return {};
}

BlockPlan SpeculativeDecoder::next_block(const Others& others, std::size_t max_rows) {
  BlockPlan next;
  next.block = std::min(plan_.block.block, target_.room());
  next.width = std::min(plan_.block.width, next.block);
  if (drafter_ == nullptr) next = {};
  if (plan_.policy != nullptr) {
    CycleRoom room;
    room.rows = std::min(next.width, max_rows);
    room.tokens = plan_.max_tokens - emitted_total_;
    room.unobserved = target_.aside_tokens().size() + unsettled_.size();
    room.context = target_.length();
    room.others = others;
    next.block = next.width = plan_.policy->choose(room);
  }
  KAKEYA_CHECK(next.width >= 1 && next.width <= std::max<std::size_t>(1, target_.room()));
  return next.width < 2 ? BlockPlan() : next;
}

}  // namespace kakeya::decode
