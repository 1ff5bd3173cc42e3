// One session's caches, run part by part and timed. Not thread-safe; takes turns with the engine's sessions.
#pragma once
#include <kakeya/speed.h>

#include <optional>

#include "decode/dflash_drafter.h"
#include "decode/target_run.h"
#include "engine/session_caches.h"

namespace kakeya::engine {

class SpeedProbeImpl final : public SpeedProbe {
 public:
  static Result<std::unique_ptr<SpeedProbeImpl>> create(std::shared_ptr<EngineState> state,
                                                        const SessionOptions& options);
  // Gives the caches back to the system, so that the next probe's memory is its own.
  ~SpeedProbeImpl() override;

  Status set_depth(std::size_t tokens) override;
  std::size_t depth() const override { return depth_; }
  Result<Elapsed> pass(std::size_t rows, PassLogits logits) override;
  Result<Elapsed> prompt(std::size_t tokens, std::size_t generated) override;
  Result<Elapsed> decode(std::size_t tokens) override;
  Result<Elapsed> observe(std::size_t rows) override;
  Result<Elapsed> propose(std::size_t block) override;
  Result<Elapsed> given_cycles(std::size_t block, std::size_t width,
                               std::span<const std::uint32_t> accepted) override;
  PassCost cost(std::size_t depth, std::size_t rows, PassLogits logits) const override;
  bool int8_products() const override { return state_->target->quantised(); }
  Result<MemoryLimit> memory_limit(std::uint64_t buffer_bytes) override;
  Int8Limit int8_limit() override;

  const kv::Cache& target_cache() const { return *caches_.kv; }
  const kv::Cache* draft_cache() const { return caches_.draft_kv.get(); }

 private:
  SpeedProbeImpl(std::shared_ptr<EngineState> state, SessionCaches caches);

  Status check_rows(const char* what, std::size_t rows) const;
  Status check_draft(const char* what) const;
  // Errors: kOutOfMemory when the rows of a context of `tokens` do not fit into what is free.
  Status check_memory(std::size_t tokens) const;
  Status fill(std::size_t tokens);  // afresh, with real rows
  Status feed_prompt(std::span<const Token> ids);
  Status generate(Token first, std::size_t tokens);
  Status cycle(std::size_t block, std::size_t width, std::size_t accepted);
  Status observe_taps(std::size_t rows);
  // Times `work`; whatever happens, the caches are back at depth() afterwards.
  template <class F>
  Result<Elapsed> timed(F&& work);
  std::span<const std::size_t> taps() const;

  std::shared_ptr<EngineState> state_;
  SessionCaches caches_;
  model::ScratchPtr scratch_, draft_scratch_;
  decode::TargetRun target_;
  std::optional<decode::DFlashDrafter> drafter_;
  std::size_t depth_ = 0;
  std::vector<Token> block_;
};

}  // namespace kakeya::engine
