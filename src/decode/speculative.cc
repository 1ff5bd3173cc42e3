// One draft-verify cycle after the other.
#include "decode/speculative.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "decode/accept.h"
#include "decode/sampler.h"

namespace kakeya::decode {
namespace {

class StopWatch {
 public:
  explicit StopWatch(double& total_ms) : total_ms_(total_ms) {}
  ~StopWatch() { total_ms_ += std::chrono::duration<double, std::milli>(Clock::now() - start_).count(); }
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double& total_ms_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

Result<BlockPlan> plan_block(std::size_t draft_block, std::size_t block_size, std::size_t verify_width) {
  BlockPlan plan;
  plan.block = block_size == 0 ? draft_block : block_size;
  plan.width = verify_width == 0 ? plan.block : verify_width;
  if (plan.block > kMaxBlock) {
    return invalid_argument(fmt::format("block_size is {}, expected at most {}", plan.block, kMaxBlock));
  }
  if (plan.width > plan.block) {
    return invalid_argument(
        fmt::format("verify_width is {}, expected at most block_size, which is {}: a draft of {} positions "
                    "proposes {} tokens",
                    plan.width, plan.block, plan.block, plan.block - 1));
  }
  return plan;
}

SpeculativeDecoder::SpeculativeDecoder(TargetRun& target, Drafter* drafter, DecodePlan plan)
    : target_(target), drafter_(drafter), plan_(std::move(plan)) {
  KAKEYA_CHECK(plan_.max_tokens >= 1 && plan_.block.width >= 1 && plan_.block.width <= plan_.block.block);
  if (!drafting()) drafter_ = nullptr;
}

Result<Token> SpeculativeDecoder::start(std::span<const Token> prompt) {
  KAKEYA_ASSIGN(const std::size_t unobserved, prefill(target_, drafter_, prompt));
  prompt_forwards_ = target_.forwards();
  const auto rest = prompt.last(unobserved);
  unsettled_.assign(rest.begin(), rest.end());
  emitted_.assign(1, sample(target_.logits().row(0), plan_.sampling, prompt.size(), scratch_));
  emit();
  return emitted_.back();
}

void SpeculativeDecoder::emit() {
  const std::size_t stop = plan_.stops.kept(emitted_);
  const bool stopped = plan_.stops.is_stop(emitted_[stop - 1]);
  const std::size_t budget = plan_.max_tokens - emitted_total_;
  const std::size_t kept = std::min(stop, budget);
  emitted_.resize(kept);
  emitted_total_ += kept;
  if (stopped && stop <= budget) {
    finished_ = FinishReason::kStop;
  } else if (emitted_total_ == plan_.max_tokens) {
    finished_ = FinishReason::kLength;
  }
}

Status SpeculativeDecoder::settle() {
  if (drafter_ != nullptr && !unsettled_.empty()) {
    const StopWatch watch(draft_ms_);
    KAKEYA_TRY(drafter_->observe(unsettled_, target_.taps().sub(0, unsettled_.size())));
  }
  unsettled_.clear();
  return {};
}

Result<Rows<const float>> SpeculativeDecoder::propose() {
  const std::size_t block = std::min(plan_.block.block, target_.room());
  const std::size_t width = std::min(plan_.block.width, block);
  if (drafter_ == nullptr || width < 2) return Rows<const float>();
  const StopWatch watch(draft_ms_);
  ProposeRequest request;
  request.anchor = block_.front();
  request.block = block;
  request.wanted = width - 1;
  const bool drawn = plan_.rule == AcceptRule::kRejection && plan_.sampling.temperature > 0;
  request.draw = drawn ? &plan_.sampling : nullptr;
  KAKEYA_ASSIGN(const Proposal proposal, drafter_->propose(request));
  block_.insert(block_.end(), proposal.tokens.begin(), proposal.tokens.end());
  return proposal.q;
}

Result<std::span<const Token>> SpeculativeDecoder::step() {
  KAKEYA_CHECK(!emitted_.empty() && !finished_);
  KAKEYA_TRY(settle());
  block_.assign(1, emitted_.back());
  const std::size_t before = target_.length();
  KAKEYA_ASSIGN(const Rows<const float> q, propose());
  {
    const StopWatch watch(verify_ms_);
    const auto taps = drafter_ != nullptr ? drafter_->tap_layers() : std::span<const std::size_t>();
    KAKEYA_TRY(target_.feed(block_, model::LogitRows::kAll, taps));
  }
  VerifyInput input;
  input.logits = target_.logits();
  input.drafts = std::span<const Token>(block_).subspan(1);
  input.position = before + 1;
  input.sampling = plan_.sampling;
  const bool rejection = plan_.rule == AcceptRule::kRejection && plan_.sampling.temperature > 0;
  const Verdict verdict =
      rejection ? accept_rejection(input, q, scratch_) : accept_target_sample(input, scratch_);

  emitted_.assign(input.drafts.begin(), input.drafts.begin() + static_cast<std::ptrdiff_t>(verdict.accepted));
  emitted_.push_back(verdict.next);
  emit();
  if (drafter_ != nullptr) {
    cycles_.push_back({static_cast<std::uint32_t>(input.drafts.size()),
                       static_cast<std::uint32_t>(verdict.accepted),
                       static_cast<std::uint32_t>(emitted_.size())});
  }
  target_.keep(before + emitted_.size());
  unsettled_.assign(block_.begin(), block_.begin() + static_cast<std::ptrdiff_t>(emitted_.size()));
  return std::span<const Token>(emitted_);
}

}  // namespace kakeya::decode
