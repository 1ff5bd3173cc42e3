// Walking a reference text with a draft-verify probe at each anchor.
#include "decode/forced.h"

#include <algorithm>

#include "decode/accept.h"
#include "decode/fidelity.h"

namespace kakeya::decode {

Result<ForcedResult> ForcedRun::run() {
  KAKEYA_CHECK(!plan_.reference.empty() && (drafter_ != nullptr || plan_.anchors.empty()));
  KAKEYA_TRY(start());
  const std::size_t last = plan_.reference.size() - 1;  // its row would predict a token beyond the reference
  for (std::size_t i = 0; i < plan_.anchors.size(); ++i) {
    const std::size_t anchor = plan_.anchors[i];
    KAKEYA_TRY(advance(anchor));
    KAKEYA_TRY(verify(anchor, i + 1 < plan_.anchors.size() ? plan_.anchors[i + 1] : last));
  }
  KAKEYA_TRY(advance(last));
  return std::move(result_);
}

Status ForcedRun::start() {
  KAKEYA_ASSIGN(const std::size_t unobserved, prefill(target_, drafter_, plan_.prompt));
  if (drafter_ != nullptr) KAKEYA_TRY(drafter_->observe(plan_.prompt.last(unobserved), target_.taps()));
  if (baseline_ != nullptr) KAKEYA_TRY(prefill(*baseline_, nullptr, plan_.prompt));
  TargetRun& baseline = baseline_ != nullptr ? *baseline_ : target_;
  add_position(compare_rows(target_.logits().row(0), baseline.logits().row(0), plan_.reference[0]), result_);
  return {};
}

Status ForcedRun::advance(std::size_t end) {
  const auto taps = drafter_ != nullptr ? drafter_->tap_layers() : std::span<const std::size_t>();
  while (fed_ < end) {
    const std::size_t count = std::min(kPrefillRows, end - fed_);
    KAKEYA_TRY(target_.feed(plan_.reference.subspan(fed_, count), model::LogitRows::kAll, taps));
    KAKEYA_TRY(settle(count));
  }
  return {};
}

Status ForcedRun::verify(std::size_t anchor, std::size_t end) {
  const std::size_t block = std::min(plan_.block.block, target_.room());
  const std::size_t width = std::min(plan_.block.width, block);
  ForcedAnchor record{anchor, 0, 0};
  if (width < 2) {  // a plain step at the end of the context: nothing proposed
    result_.anchors.push_back(record);
    return {};
  }
  ProposeRequest request;
  request.anchor = plan_.reference[anchor];
  request.block = block;
  request.wanted = width - 1;
  KAKEYA_ASSIGN(const Proposal proposal, drafter_->propose(request));
  block_.assign(1, request.anchor);
  block_.insert(block_.end(), proposal.tokens.begin(), proposal.tokens.end());
  KAKEYA_TRY(target_.feed(block_, model::LogitRows::kAll, drafter_->tap_layers()));

  VerifyInput input;
  input.logits = target_.logits();
  input.drafts = std::span<const Token>(block_).subspan(1);
  record.proposed = static_cast<std::uint32_t>(input.drafts.size());
  record.accepted = static_cast<std::uint32_t>(accept_target_sample(input, scratch_).accepted);
  result_.anchors.push_back(record);

  const auto follows =
      plan_.reference.subspan(anchor, std::min(block_.size(), end > anchor ? end - anchor : 0));
  const auto parting = std::mismatch(follows.begin(), follows.end(), block_.begin()).first;
  return settle(static_cast<std::size_t>(parting - follows.begin()));
}

Status ForcedRun::settle(std::size_t count) {
  const auto tokens = plan_.reference.subspan(fed_, count);
  target_.keep(plan_.prompt.size() + fed_ + count);
  if (count == 0) return {};
  if (baseline_ != nullptr) {
    KAKEYA_TRY(baseline_->feed(tokens, model::LogitRows::kAll, {}));
    baseline_->keep(target_.length());
  }
  TargetRun& baseline = baseline_ != nullptr ? *baseline_ : target_;
  for (std::size_t i = 0; i < count; ++i) {
    add_position(
        compare_rows(target_.logits().row(i), baseline.logits().row(i), plan_.reference[fed_ + i + 1]),
        result_);
  }
  fed_ += count;
  if (drafter_ == nullptr) return {};
  return drafter_->observe(tokens, target_.taps().sub(0, count));
}

}  // namespace kakeya::decode
