// What drafts in shared passes gained and lost, all requests of an engine together: the promise of the loss
// ledger where passes are shared.
#pragma once
#include <algorithm>

#include "decode/loss_ledger.h"

namespace kakeya::decode {

class SharedAccount {
 public:
  // Tokens that plain decoding would have made in `plain_ms` took `ms`.
  void add(double plain_ms, double ms, double step_ms) {
    budget_ms_ = std::min(budget_ms_ + kLossBudget * plain_ms, kMostSteps * step_ms);
    gained_ms_ = std::min(gained_ms_ + plain_ms - ms, kMostSteps * step_ms);
    // What was lost is paid from the budget, once.
    if (gained_ms_ < 0) {
      budget_ms_ += gained_ms_;
      gained_ms_ = 0;
    }
  }
  // Whether a cycle with drafts may be risked. Before anything was lost a few may.
  bool allows(double step_ms) const { return gained_ms_ + budget_ms_ + kAdvanceSteps * step_ms > 0; }
  // What can wait is paid from what is left, not in advance.
  bool affords(double ms) const { return gained_ms_ + budget_ms_ >= ms; }

 private:
  // In plain steps. What was gained or saved long ago does not pay for losing now.
  static constexpr double kMostSteps = 3, kAdvanceSteps = 0.5;
  double budget_ms_ = 0, gained_ms_ = 0;
};

}  // namespace kakeya::decode
