// Keeps the promise that drafting never costs more than a small share of a request: time lost to drafts
// against plain decoding, beside what may be lost.
#pragma once
#include <algorithm>

#include "decode/policy.h"

namespace kakeya::decode {

// The promise is 2 %. A quarter of a percent is for observing when no more rows can wait and for what is not
// timed: copies of tapped states, caches of the processor that a draft pass empties.
inline constexpr double kLossBudget = 0.0175, kObserveReserve = 0.0025;

class LossLedger {
 public:
  // `advance_steps`: plain steps that may be lost before the share of the time so far allows it.
  void begin(const PromptCost& cost, double advance_steps) {
    *this = {};
    prompt_ = cost;
    advance_steps_ = advance_steps;
  }
  void add_plain(double ms) { plain_ms_ += ms; }
  void add_overhead(double ms) { lost_ms_ += ms; }
  // A cycle that took `ms` for tokens that take `plain_ms` plainly.
  void add_speculative(double ms, double plain_ms) {
    plain_ms_ += plain_ms;
    lost_ms_ += ms - plain_ms;
  }

  // What may still be lost. The prompt and the output have a budget each; what the draft took of the prompt's
  // is gone, and what it left is there for the output.
  double earned_ms() const {
    const double prompt = kLossBudget * prompt_.target_ms - prompt_.observe_ms;
    return kLossBudget * plain_ms_ + std::max(0.0, prompt) - lost_ms_;
  }
  // The same with the advance. An advance is no gift: the share of later steps fills it up first.
  double room_ms(double step_ms) const { return std::max(earned_ms(), advance_steps_ * step_ms - lost_ms_); }

  double plain_ms() const { return prompt_.target_ms + plain_ms_; }
  double gained_ms() const { return -lost_ms_ - prompt_.observe_ms; }

 private:
  PromptCost prompt_;
  double advance_steps_ = 0;
  double plain_ms_ = 0;  // the output so far by plain decoding
  double lost_ms_ = 0;   // below 0: gained
};

}  // namespace kakeya::decode
