// The DFlash draft model behind the Drafter seam: owns no weights, borrows a cache and a scratch.
#pragma once
#include <vector>

#include "decode/drafter.h"
#include "model/dflash_draft.h"

namespace kakeya::decode {

class DFlashDrafter;

// One drafter's work in passes that several share: what it is to observe, then what to propose.
struct DraftJob {
  DFlashDrafter* drafter = nullptr;
  std::span<const Token> tokens;
  Rows<const float> taps;
  ProposeRequest request;  // block 0: nothing
  Proposal proposal;       // out
};

class DFlashDrafter final : public Drafter {
 public:
  // All outlive the drafter. kv has the draft's shape and room for a block beyond the sequence.
  DFlashDrafter(const model::DFlashDraft& draft, kv::Cache& kv, model::Scratch& scratch,
                kernels::Compute compute)
      : draft_(draft), kv_(kv), scratch_(scratch), compute_(compute) {}

  std::span<const std::size_t> tap_layers() const override { return draft_.tap_layers(); }
  std::size_t block_size() const override { return draft_.block_size(); }
  std::size_t length() const override { return kv_.length(); }
  void begin(std::size_t kept) override;
  Status observe(std::span<const Token> tokens, Rows<const float> taps) override;
  Result<Proposal> propose(const ProposeRequest& request) override;
  const DraftStats& stats() const override { return stats_; }

  // observe() and propose() of several drafters of one draft, scratch and pool, in one pass each: the rows
  // and tokens are those that each gets alone. Limits as of model::DFlashDraft. After an error nothing has
  // changed.
  static Status observe_together(std::span<DraftJob> jobs);
  static Status propose_together(std::span<DraftJob> jobs);
  // Logits and probabilities held beside the draft's scratch.
  std::size_t buffer_bytes() const {
    return (result_.logits_data.capacity() + q_.capacity()) * sizeof(float);
  }

 private:
  Proposal take(const ProposeRequest& request);  // tokens out of result_

  const model::DFlashDraft& draft_;
  kv::Cache& kv_;
  model::Scratch& scratch_;
  kernels::Compute compute_;
  model::ForwardResult result_;
  std::vector<Token> tokens_;
  std::vector<float> q_;
  DraftStats stats_;
};

}  // namespace kakeya::decode
