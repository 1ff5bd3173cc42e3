// What Session and Service check of a request, and the decoder's plan made from it.
#pragma once
#include <kakeya/options.h>

#include "decode/drafter.h"
#include "decode/speculative.h"
#include "engine/engine_state.h"

namespace kakeya::engine {

// Errors: kInvalidArgument naming `what`, the index and the id; empty ids.
Status check_ids(const EngineState& state, const char* what, std::span<const Token> ids);
// `context`: tokens that a sequence has room for. Errors: kContextOverflow naming all three numbers.
Status check_length(const EngineState& state, const char* what, std::size_t prompt, std::size_t output,
                    std::size_t context);
// In effect. `drafter` may be null.
Speculation speculation_of(const GenerateOptions& options, const decode::Drafter* drafter);
// Errors: kInvalidArgument naming the option, its value and its range.
Result<decode::DecodePlan> plan_request(const EngineState& state, const GenerateOptions& options,
                                        const decode::Drafter* drafter);

}  // namespace kakeya::engine
