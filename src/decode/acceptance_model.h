// How likely drafts stand, position by position: the chance h_i that draft i stands when all before it do,
// from exponentially decayed counts. A cycle of width W says nothing of positions W and beyond (they are
// censored), and the first draft that falls says nothing of those after it; each h_i is estimated from the
// cycles that reached it, as Kaplan and Meier 1958 do, and leans on those before it where few did.
#pragma once
#include <cstddef>
#include <vector>

namespace kakeya::decode {

class AcceptanceModel {
 public:
  // A cycle verified `proposed` drafts, the first `accepted` of which stand.
  void record(std::size_t proposed, std::size_t accepted);
  // Keeps this share of the evidence.
  void forget(double keep);
  // For the next request: the same chances, but no position weighs more than `cycles`.
  void weaken(double cycles);

  bool has_evidence() const { return !tried_.empty(); }
  // Chance that draft `position` (1 = the first) stands when all before it do.
  double chance(std::size_t position) const;
  // Tokens that a pass of `width` rows is expected to emit: 1 + sum over i < width of P(accepted >= i).
  double expected_tokens(std::size_t width) const;

 private:
  std::vector<double> tried_, stood_;  // decayed counts, index position - 1
  std::size_t failures_ = 0;           // cycles in a row whose first draft fell
};

}  // namespace kakeya::decode
