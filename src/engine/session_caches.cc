// Options checked and resolved once, for whoever runs an engine's models.
#include "engine/session_caches.h"

#include <fmt/format.h>

#include <algorithm>

#include "decode/speculative.h"

namespace kakeya::engine {
namespace {

// Positions a row must see before it takes the fast attention.
std::size_t fast_attention_from(Attention attention, bool quantised) {
  constexpr std::size_t kNever = static_cast<std::size_t>(-1);
  // Below it the exact attention of an unquantised model takes a small share of its step.
  constexpr std::size_t kLongContext = 4096;
  if (attention == Attention::kExact) return kNever;
  return attention == Attention::kFast || quantised ? 0 : kLongContext;
}

Result<std::unique_ptr<kv::Cache>> make_cache(const kv::KvShape& shape, const std::string& channel,
                                              int boundary, std::size_t max_tokens,
                                              std::size_t fast_attention_from) {
  kv::CacheOptions options;
  options.fast_attention_from = fast_attention_from;
  KAKEYA_ASSIGN(options.channel, kv::parse_channel(channel));
  options.boundary = boundary;
  options.max_tokens = max_tokens;
  return kv::Cache::create(shape, options);
}

}  // namespace

Result<SessionCaches> make_caches(const EngineState& state, const SessionOptions& options) {
  SessionCaches out;
  SessionOptions& resolved = out.options = options;
  const std::size_t context = state.target->config().max_position_embeddings;
  if (resolved.max_tokens == 0) resolved.max_tokens = context;
  if (resolved.max_tokens > context) {
    return invalid_argument(fmt::format("session: max_tokens is {}, expected at most {}, the context of {}",
                                        resolved.max_tokens, context, state.target_info.id));
  }
  // Rows under verification may reach beyond the last token that is kept.
  const std::size_t rows = std::min(context, resolved.max_tokens + decode::kMaxBlock);
  const std::size_t fast = fast_attention_from(resolved.attention, state.target->quantised());
  KAKEYA_ASSIGN(out.kv, make_cache(state.target->kv_shape(), resolved.kv, resolved.boundary, rows, fast));
  KAKEYA_TRY(kv::parse_channel(resolved.draft_kv));
  if (state.draft) {
    KAKEYA_ASSIGN(out.draft_kv, make_cache(state.draft->kv_shape(), resolved.draft_kv, 0, rows, fast));
  }
  return out;
}

}  // namespace kakeya::engine
