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

Status DFlashDrafter::observe_together(std::span<DraftJob> jobs) {
  KAKEYA_CHECK(!jobs.empty());
  std::vector<model::ObserveRequest> requests;
  for (const DraftJob& job : jobs) {
    KAKEYA_CHECK(job.taps.rows == job.tokens.size());
    requests.push_back({job.taps, &job.drafter->kv_});
  }
  const DFlashDrafter& first = *jobs.front().drafter;
  KAKEYA_TRY(first.draft_.observe(first.compute_, requests, first.scratch_));
  for (const DraftJob& job : jobs) job.drafter->stats_.observed_rows += job.taps.rows;
  return {};
}

Status DFlashDrafter::propose_together(std::span<DraftJob> jobs) {
  KAKEYA_CHECK(!jobs.empty());
  std::vector<model::BlockRequest> requests;
  std::vector<model::ForwardResult*> results;
  for (const DraftJob& job : jobs) {
    requests.push_back({job.request.anchor, job.request.block, &job.drafter->kv_});
    results.push_back(&job.drafter->result_);
  }
  const DFlashDrafter& first = *jobs.front().drafter;
  KAKEYA_TRY(first.draft_.propose(first.compute_, requests, first.scratch_, results));
  for (DraftJob& job : jobs) job.proposal = job.drafter->take(job.request);
  return {};
}

Result<Proposal> DFlashDrafter::propose(const ProposeRequest& request) {
  KAKEYA_TRY(draft_.propose(compute_, request.anchor, request.block, kv_, scratch_, result_));
  return take(request);
}

Proposal DFlashDrafter::take(const ProposeRequest& request) {
  KAKEYA_CHECK(request.block >= 2 && request.wanted >= 1 && request.wanted < request.block);
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
