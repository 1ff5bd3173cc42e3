// One place where a request runs: caches that stay between requests, so that the next one can go on where its
// prompt agrees with what is cached. Used by the thread that runs the models alone.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "decode/auto_policy.h"
#include "decode/dflash_drafter.h"
#include "decode/speculative.h"
#include "decode/target_run.h"
#include "engine/answer_state.h"
#include "engine/engine_state.h"
#include "engine/prefix_store.h"
#include "engine/session_caches.h"
#include "engine/stop_scanner.h"

namespace kakeya::engine {

// A request that was checked and waits or runs.
struct Job {
  ServiceRequest request;  // channels resolved
  std::shared_ptr<AnswerState> answer;
};

// What the models' work buffers are shared by: slots take turns in them.
struct SharedScratch {
  model::ScratchPtr target, draft;
};

class Slot {
 public:
  Slot(EngineState& state, SharedScratch& scratch, SessionOptions options, int id);

  int id() const { return id_; }
  bool busy() const { return job_.has_value(); }
  const std::string& kv() const { return options_.kv; }
  const std::string& draft_kv() const { return options_.draft_kv; }
  bool has_caches() const { return caches_.kv != nullptr; }
  std::uint64_t last_used() const { return last_used_; }
  // Tokens in the target's cache; the draft's holds the first draft_length() of them.
  std::span<const Token> tokens() const;
  std::size_t draft_length() const;
  struct KvBytes {
    std::size_t target = 0, draft = 0;
  };
  KvBytes kv_bytes() const;  // allocated for packed rows

  // What `prompt` can reuse of a sequence that agrees with it in `common` tokens, of which the draft observed
  // `observed`: at least one token of a prompt is always run.
  std::size_t reusable(const ServiceRequest& request, std::size_t common, std::size_t observed) const;

  // Caches in these channels, emptied when they were in others. Errors: as make_caches.
  Status take_channels(const std::string& kv, const std::string& draft_kv);
  void erase();
  Status load(const Prefix& prefix);  // errors: as kv::Cache::load_rows; the slot is then empty
  Prefix save() const;
  // Between requests: the draft observes what was left to it, so that a request can reuse it.
  void settle();

  // Begins the job with `kept` tokens of the cache. `now` orders slots by use.
  Status start(Job job, std::size_t kept, std::uint64_t now);
  decode::SpeculativeDecoder& decoder() { return *decoder_; }
  decode::DFlashDrafter* drafter() { return drafter_ ? &*drafter_ : nullptr; }
  decode::TargetRun& target() { return *target_; }
  const Job& job() const { return *job_; }
  std::size_t cached_tokens() const { return kept_; }
  std::size_t output_tokens() const { return output_; }
  Speculation speculation() const { return speculation_; }

  // Takes what the decoder emitted and sends it on. True when the request is over.
  bool deliver(std::span<const Token> ids);
  void progress();
  // The end, sent on: by stop or length, or cancelled. The draft observes what is left, now or in settle().
  Completion finish(std::optional<FinishReason> cut);
  void fail(Error error);

 private:
  Completion complete(FinishReason finish) const;
  void release();

  EngineState& state_;
  SharedScratch& scratch_;
  SessionOptions options_;
  int id_;
  SessionCaches caches_;
  std::optional<decode::TargetRun> target_;
  std::optional<decode::DFlashDrafter> drafter_;
  std::vector<Token> held_;  // in the target's cache, and the newest token of a request beyond it
  std::uint64_t last_used_ = 0;

  // Of the request at hand.
  std::optional<Job> job_;
  std::optional<decode::AutoPolicy> policy_;
  std::optional<decode::SpeculativeDecoder> decoder_;
  std::optional<text::StreamDecoder> stream_;
  std::optional<StopScanner> scanner_;
  Speculation speculation_ = Speculation::kOff;
  std::size_t kept_ = 0, output_ = 0;
  std::optional<Token> stop_id_;
  double started_ms_ = 0, first_ms_ = 0, last_ms_ = 0;  // since submit
};

}  // namespace kakeya::engine
