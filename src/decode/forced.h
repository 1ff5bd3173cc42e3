// Forced reference: the caches are fed a given text; at each anchor the draft proposes and the target
// verifies through this sequence's own channels, and the run goes on along the text whatever was accepted.
#pragma once
#include "decode/speculative.h"

namespace kakeya::decode {

struct ForcedPlan {
  std::span<const Token> prompt;
  std::span<const Token> reference;
  std::span<const std::size_t> anchors;  // strictly ascending indices into reference
  BlockPlan block;
};

// `baseline` is a second sequence of the same model that is fed the same tokens; null = `target` is its own.
// `drafter` may be null when there are no anchors.
class ForcedRun {
 public:
  ForcedRun(TargetRun& target, TargetRun* baseline, Drafter* drafter, const ForcedPlan& plan)
      : target_(target), baseline_(baseline), drafter_(drafter), plan_(plan) {}

  Result<ForcedResult> run();

 private:
  Status start();
  // Feeds the reference up to, but without, index `end`.
  Status advance(std::size_t end);
  // Proposes and verifies at `anchor`, then keeps the rows that follow the reference, up to index `end`.
  Status verify(std::size_t anchor, std::size_t end);
  // Settles the first `count` rows of the last feed, which are reference[fed_ ..].
  Status settle(std::size_t count);

  TargetRun& target_;
  TargetRun* baseline_;
  Drafter* drafter_;
  ForcedPlan plan_;
  std::size_t fed_ = 0;  // tokens of the reference that the caches hold
  std::vector<Token> block_;
  std::vector<float> scratch_;
  ForcedResult result_;
};

}  // namespace kakeya::decode
