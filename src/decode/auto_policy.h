// Speculation::kAuto: the width with the most expected tokens per millisecond, plain decoding when none beats
// it, and never a cycle whose worst case the loss ledger does not allow.
// docs/decisions/0009-decoding-policy.md.
#pragma once
#include <kakeya/session.h>

#include "decode/acceptance_model.h"
#include "decode/cost_curve.h"
#include "decode/loss_ledger.h"
#include "decode/policy.h"
#include "decode/shared_account.h"

namespace kakeya::decode {

// What the requests of one engine leave to the next. Whoever shares it sees to mutual exclusion.
struct PolicyMemory {
  CostCurve curve;
  // Shared passes show every request the same: what one of them learns there, all know at once. Each pass
  // counts once.
  std::uint64_t last_pass = 0, last_draft_pass = 0;
  SharedAccount shared_account;
  AcceptanceModel acceptance;
  TimeWindow lengths;              // tokens of the last requests
  std::size_t prompts_hidden = 0;  // long prompts that were not shown to the draft
  // Requests that expected no gain from the start, since the last that tried all the same; how many there are
  // to be before the next one tries.
  std::size_t hopeless = 0, hopeless_wait = 1;
  std::size_t probe_wait = 0;  // in tokens; 0 = the shortest
};

class AutoPolicy final : public WidthPolicy {
 public:
  // `memory` outlives the policy; read here, written by finish() and by shared cycles. `max_width` >= 2: the
  // widest cycle.
  AutoPolicy(PolicyMemory& memory, std::size_t max_width, std::size_t max_tokens);

  bool wants_draft(std::size_t prompt_tokens) override;
  void begin(const PromptCost& cost) override;
  std::size_t choose(const CycleRoom& room) override;
  bool affords(std::size_t rows) override;
  void observed(std::size_t rows, double ms) override;
  bool hopeful() const override;
  double expected_tokens(std::size_t width) const override { return acceptance_.expected_tokens(width); }
  void record(const CycleCost& cost) override;
  // The request is over: leaves what was learned. What is observed later is for the next one; other requests
  // that share its passes wait for that, so it is charged to the account of all.
  void finish();
  PolicyReport report() const;

 private:
  struct Choice {
    std::size_t width = 1;
    ModeReason reason = ModeReason::kNoGain;
  };
  Choice decide(const CycleRoom& room);
  Choice decide_shared(const CycleRoom& room);
  // Tokens per ms of a shared cycle that has `entry_ms` to bear besides.
  double shared_rate(const Load& load, double entry_ms = 0) const;
  double entry_ms(const CycleRoom& room, double tokens) const;
  // The best width for this sequence and `followers` others, who would have decoded plainly, that makes more
  // than `least` tokens per ms with the others; 1 = none.
  std::size_t best_shared(const CycleRoom& room, double least, std::size_t followers) const;
  // The best width up to `top` that pays, by expected tokens per ms, within `room_ms` of possible loss (1 =
  // none). `threshold`: how much faster than plain decoding it must be.
  std::size_t best_width(std::size_t top, double threshold, double room_ms, std::size_t unobserved) const;
  std::size_t probe_width(std::size_t top, std::size_t unobserved) const;
  double tokens_per_ms(std::size_t width) const;
  // Loss of a cycle whose first draft falls, observing what is unobserved included.
  double worst_loss_ms(std::size_t width, std::size_t unobserved) const;
  double advance_steps() const;
  void hope_again();
  bool refresh_due(const CycleRoom& room) const;
  void record_speculative(const CycleCost& cost);
  void judge_probe(bool pays);
  void record_shared(const CycleCost& cost);
  // What was measured alone goes to the memory; what shared passes taught there stays.
  void leave_curve();
  // What decisions about shared passes go by.
  const CostCurve& shared_curve() const { return memory_.curve.plain_known() ? memory_.curve : curve_; }

  PolicyMemory& memory_;
  CostCurve curve_;              // the request's own while it runs alone; of shared passes memory_.curve
  bool curve_has_news_ = false;  // passes that memory_.curve does not know
  AcceptanceModel acceptance_;
  LossLedger ledger_;
  std::vector<std::size_t> widths_;  // to choose from, ascending, without 1
  std::size_t max_tokens_;
  bool hidden_ = false, hoping_ = false;
  bool probing_ = false, sharing_ = false, over_ = false;
  std::size_t width_ = 1, cycle_ = 0, token_ = 1;
  std::size_t probe_wait_, last_draft_token_ = 1;  // in tokens
  std::size_t drafted_since_plain_ = 0;            // cycles
  std::size_t plain_context_ = 0;                  // tokens in the cache at the last refresh
  PolicyReport report_;
};

}  // namespace kakeya::decode
