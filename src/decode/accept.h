// Which drafted tokens stand. Both rules leave the target's distribution unchanged.
#pragma once
#include <kakeya/options.h>
#include <kakeya/token.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/rows.h"
#include "decode/row_rules.h"

namespace kakeya::decode {

// One verification: row i of `logits` predicts the token at `position` + i.
struct VerifyInput {
  Rows<const float> logits;       // [drafts + 1, vocab], the target's
  std::span<const Token> drafts;  // draft i was proposed for position + i
  std::uint64_t position = 0;
  SamplingOptions sampling;
  RowRules* rules = nullptr;  // applied row by row; hears of every token that stands
};

struct Verdict {
  std::size_t accepted = 0;  // leading drafts that stand
  Token next = 0;            // the target's own token after them
};

// A draft stands while it equals the target's own sample at its position (temperature 0: the argmax), so the
// emitted tokens are the target's samples whatever was drafted.
Verdict accept_target_sample(const VerifyInput& input, std::vector<float>& scratch);

// Leviathan et al. 2023: a draft d ~ q stands with probability min(1, p(d) / q(d)); the first that does not
// is replaced by a draw from max(0, p - q), normalised (from p when that is 0 everywhere); after the last, a
// draw from p. q [drafts, vocab] is what each draft was really drawn from; no rows mean that drafts were
// certain (q(d) = 1). temperature > 0.
Verdict accept_rejection(const VerifyInput& input, Rows<const float> q, std::vector<float>& scratch);

}  // namespace kakeya::decode
