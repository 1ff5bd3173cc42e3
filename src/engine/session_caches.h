// The caches of one sequence, made from a session's options.
#pragma once
#include "engine/engine_state.h"
#include "kv/cache.h"

namespace kakeya::engine {

struct SessionCaches {
  SessionOptions options;  // max_tokens resolved
  std::unique_ptr<kv::Cache> kv;
  std::unique_ptr<kv::Cache> draft_kv;  // null without a drafter
};

// Errors: kInvalidArgument (max_tokens, channel name), kUnsupported (channel and head_dim).
Result<SessionCaches> make_caches(const EngineState& state, const SessionOptions& options);

}  // namespace kakeya::engine
