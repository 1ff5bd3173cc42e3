// DFlash proposals: every slot's argmax, or an independent draw per slot.
#include "decode/dflash_drafter.h"

#include "base/check.h"
#include "decode/sampler.h"

namespace kakeya::decode {

void DFlashDrafter::begin(std::size_t kept) {
  KAKEYA_CHECK(kept <= kv_.length());
  kv_.truncate(kept);
  stats_ = {};
}

Status DFlashDrafter::observe(std::span<const Token> tokens, Rows<const float> taps) {
  KAKEYA_CHECK(taps.rows == tokens.size());
  KAKEYA_TRY(draft_.observe(compute_, taps, kv_, scratch_));
  stats_.observed_rows += taps.rows;
  return {};
}

Result<Proposal> DFlashDrafter::propose(const ProposeRequest& request) {
  KAKEYA_CHECK(request.block >= 2 && request.wanted >= 1 && request.wanted < request.block);
  KAKEYA_TRY(draft_.propose(compute_, request.anchor, request.block, kv_, scratch_, result_));
  const Rows<const float> logits = result_.logits();
  KAKEYA_CHECK(logits.rows == request.block - 1);
  tokens_.resize(request.wanted);
  stats_.passes += 1;
  stats_.proposed += request.wanted;
  if (request.draw == nullptr) {
    for (std::size_t i = 0; i < request.wanted; ++i) tokens_[i] = argmax(logits.row(i));
    return Proposal{tokens_, {}};
  }
  q_.resize(request.wanted * logits.cols);
  const Rows<float> q(q_.data(), request.wanted, logits.cols);
  for (std::size_t i = 0; i < request.wanted; ++i) {
    distribution(logits.row(i), *request.draw, q.row(i));
    tokens_[i] = pick(q.row(i), uniform(request.draw->seed, kv_.length() + 1 + i, kDraftStream));
  }
  return Proposal{tokens_, q};
}

}  // namespace kakeya::decode
