// The target of one sequence: model, cache and scratch together, with the count of its passes.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "decode/drafter.h"
#include "model/model.h"

namespace kakeya::decode {

// Rows a prompt is run in at once. Rows do not depend on it; it bounds scratch and tapped states.
inline constexpr std::size_t kPrefillRows = 256;
// The same where each row's logits are asked for: bounds what they take with a large vocabulary.
inline constexpr std::size_t kScoredRows = 64;

class TargetRun {
 public:
  // All outlive the run.
  TargetRun(const model::Model& model, kv::Cache& kv, model::Scratch& scratch, kernels::Compute compute)
      : model_(model), kv_(kv), scratch_(scratch), compute_(compute) {}

  // Appends `tokens`; rows stay uncommitted until keep().
  Status feed(std::span<const Token> tokens, model::LogitRows rows, std::span<const std::size_t> tap_layers);
  // The same in two steps, for a pass that several runs share: what to feed, and where its result goes.
  model::ForwardRequest stage(std::span<const Token> tokens, model::LogitRows rows,
                              std::span<const std::size_t> tap_layers);
  model::ForwardResult& result() { return result_; }
  // Settles the cache at `length` tokens; what lies beyond is dropped.
  void keep(std::size_t length);
  // A new sequence that shares its first `kept` <= length() tokens with the last one.
  void begin(std::size_t kept = 0);

  std::size_t length() const { return kv_.length(); }
  std::size_t room() const { return kv_.max_tokens() - kv_.length(); }
  std::size_t vocab() const { return model_.config().vocab_size; }
  // Of the last feed; valid until the next.
  Rows<const float> logits() { return result_.logits(); }
  Rows<const float> taps() { return result_.taps(); }
  Rows<float> mutable_taps() { return result_.taps(); }
  // Rows of earlier feeds, put aside until a drafter observes them, with their tokens. At most kPrefillRows;
  // dropped by begin().
  void put_aside(std::span<const Token> tokens);  // the first rows of the last feed
  std::span<const Token> aside_tokens() const { return aside_tokens_; }
  Rows<const float> aside_taps() const;
  void drop_aside();
  // Passes since begin(), counted where the model is called.
  std::uint64_t forwards() const { return forwards_; }
  // What the buffers of results hold now.
  std::size_t logits_bytes() const { return result_.logits_data.capacity() * sizeof(float); }
  std::size_t taps_bytes() const {
    return (result_.taps_data.capacity() + aside_taps_.capacity()) * sizeof(float);
  }

 private:
  const model::Model& model_;
  kv::Cache& kv_;
  model::Scratch& scratch_;
  kernels::Compute compute_;
  model::ForwardResult result_;
  std::vector<Token> aside_tokens_;
  std::vector<float> aside_taps_;
  std::uint64_t forwards_ = 0;
};

// Runs `prompt` from an empty cache, settles it and leaves the logits of its last token in `target`.
// `drafter` (may be null) observes all rows but those of the last piece, whose states stay in target.taps():
// the first token can go out before they are observed. Returns how many rows those are.
Result<std::size_t> prefill(TargetRun& target, Drafter* drafter, std::span<const Token> prompt);

}  // namespace kakeya::decode
