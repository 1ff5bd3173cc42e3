// What the sessions of one engine share. Immutable after open, except for the threads and for what requests
// learned of speed, which one session at a time may use.
#pragma once
#include <kakeya/engine.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/thread_pool.h"
#include "decode/auto_policy.h"
#include "model/dflash_draft.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace kakeya::engine {

struct EngineState {
  explicit EngineState(int threads) : pool(threads) {}

  ModelInfo target_info;
  std::optional<ModelInfo> draft_info;
  std::unique_ptr<const model::Model> target;
  std::unique_ptr<const model::DFlashDraft> draft;   // null without a drafter
  std::unique_ptr<const text::Tokenizer> tokenizer;  // null when the directory has none: ids only
  // Of the tokenizer; kUnsupported when no family fits.
  Result<text::TemplateFamily> chat_family = text::TemplateFamily::kQwen3;
  std::vector<Token> stop_ids;
  SamplingDefaults sampling_defaults;
  base::ThreadPool pool;
  kernels::Compute compute;
  decode::PolicyMemory policy_memory;
  std::mutex pool_mutex;  // held by whoever runs a model or uses policy_memory
};

// Keeps the engine's parts alive as long as it lives.
Result<std::unique_ptr<Session>> make_session(std::shared_ptr<EngineState> state,
                                              const SessionOptions& options);
Result<std::unique_ptr<Service>> make_service(std::shared_ptr<EngineState> state,
                                              const ServiceOptions& options);

}  // namespace kakeya::engine
