// Checks of a request.
#include "engine/request_plan.h"

#include <fmt/format.h>

#include <limits>

#include "decode/logprobs.h"
#include "decode/sampler.h"

namespace kakeya::engine {
namespace {

Status check_count(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return invalid_argument(fmt::format("generate: {} is {}, expected {} to {}", name, value, low, high));
}

}  // namespace

Status check_ids(const EngineState& state, const char* what, std::span<const Token> ids) {
  if (ids.empty()) return invalid_argument(fmt::format("{}: empty, expected at least one token", what));
  const std::size_t vocab = state.target->config().vocab_size;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= vocab) {
      return invalid_argument(
          fmt::format("{}: token {} has id {}, expected 0 to {}", what, i, ids[i], vocab - 1));
    }
  }
  return {};
}

Status check_length(const EngineState& state, const char* what, std::size_t prompt, std::size_t output,
                    std::size_t context) {
  if (prompt <= context && output <= context - prompt) return {};
  return Error{ErrorCode::kContextOverflow,
               fmt::format("{}: {} prompt tokens and {} output tokens, expected at most {} together ({}'s "
                           "context is {})",
                           what, prompt, output, context, state.target_info.id,
                           state.target_info.max_position_embeddings)};
}

Speculation speculation_of(const GenerateOptions& options, const decode::Drafter* drafter) {
  const bool one_row = options.block_size == 1 || options.verify_width == 1;  // nothing to draft
  if (drafter == nullptr || !options.use_draft || one_row) return Speculation::kOff;
  const bool given = options.block_size != 0 || options.verify_width != 0;
  return options.speculation == Speculation::kAuto && given ? Speculation::kFixed : options.speculation;
}

Result<decode::DecodePlan> plan_request(const EngineState& state, const GenerateOptions& options,
                                        const decode::Drafter* drafter) {
  KAKEYA_TRY(check_count("max_tokens", options.max_tokens, 0, std::numeric_limits<int>::max()));
  KAKEYA_TRY(check_count("logprobs", options.logprobs, -1, decode::kMaxLogprobs));
  KAKEYA_TRY(check_count("prompt_logprobs", options.prompt_logprobs, -1, decode::kMaxLogprobs));
  KAKEYA_TRY(decode::check_sampling(options.sampling));
  if (!options.extra_stop_ids.empty()) KAKEYA_TRY(check_ids(state, "extra_stop_ids", options.extra_stop_ids));
  KAKEYA_TRY(decode::check_rules(options.rules, state.target->config().vocab_size));
  decode::DecodePlan plan;
  if (speculation_of(options, drafter) != Speculation::kOff) {
    KAKEYA_ASSIGN(plan.block,
                  decode::plan_block(drafter->block_size(), options.block_size, options.verify_width));
  }
  plan.max_tokens = static_cast<std::size_t>(options.max_tokens);
  plan.sampling = options.sampling;
  plan.rules = options.rules;
  plan.logprobs = options.logprobs;
  plan.prompt_logprobs = options.prompt_logprobs;
  plan.rule = options.accept_rule;
  std::vector<Token> stops = options.extra_stop_ids;
  if (!options.ignore_stop) stops.insert(stops.end(), state.stop_ids.begin(), state.stop_ids.end());
  plan.stops = decode::StopRules(std::move(stops));
  return plan;
}

}  // namespace kakeya::engine
