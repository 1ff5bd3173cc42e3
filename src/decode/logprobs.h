// Log-probabilities of chosen tokens under a row of logits.
#pragma once
#include <kakeya/session.h>

#include <span>

namespace kakeya::decode {

inline constexpr int kMaxLogprobs = 20;

// ln softmax(logits)[id] and the `top` most probable tokens, falling, lower id first on a tie.
TokenLogprob logprob_of(std::span<const float> logits, Token id, int top);

}  // namespace kakeya::decode
