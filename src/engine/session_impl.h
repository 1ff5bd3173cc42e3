// One sequence of an engine: caches, scratch, decoder. Not thread-safe; sessions of one engine take turns.
#pragma once
#include <kakeya/session.h>

#include "decode/auto_policy.h"
#include "decode/dflash_drafter.h"
#include "decode/speculative.h"
#include "decode/target_run.h"
#include "engine/engine_state.h"
#include "engine/session_caches.h"
#include "model/scratch.h"

namespace kakeya::engine {

class SessionImpl final : public Session {
 public:
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<EngineState> state,
                                                 const SessionOptions& options);

  Result<Generation> generate(std::span<const Token> prompt, const GenerateOptions& options,
                              const EventSink& sink) override;
  Result<ForcedResult> forced_reference(const ForcedRequest& request) override;
  Result<LogitResult> logits(std::span<const Token> ids, LogitSelection rows, bool taps) override;
  Result<PerplexityResult> perplexity(std::span<const Token> ids, std::size_t ctx) override;
  Result<std::vector<float>> embed(std::span<const Token> ids) override;
  MemoryLedger ledger() const override;

 private:
  SessionImpl(std::shared_ptr<EngineState> state, SessionCaches caches);

  // Runs the decoder to its end; text and ids go to `out` and `sink`.
  Status run(decode::SpeculativeDecoder& decoder, std::span<const Token> prompt, const EventSink& sink,
             Generation& out);
  Result<decode::BlockPlan> forced_block(const ForcedRequest& request) const;
  Status check_forced(const ForcedRequest& request) const;

  std::shared_ptr<EngineState> state_;
  SessionOptions options_;                    // max_tokens resolved
  std::unique_ptr<kv::Cache> kv_, draft_kv_;  // draft_kv_ null without a drafter
  model::ScratchPtr scratch_, draft_scratch_;
  decode::TargetRun target_;
  std::optional<decode::DFlashDrafter> drafter_;
};

}  // namespace kakeya::engine
