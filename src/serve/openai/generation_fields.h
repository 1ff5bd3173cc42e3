// Fields that chat and text completions share: sampling, stops, limits, constraints, our own switches.
// Ollama's options and others map onto the same DialogRequest elsewhere.
#pragma once
#include "dialog/dialog.h"
#include "serve/context.h"
#include "serve/json.h"

namespace kakeya::serve::openai {

inline constexpr std::size_t kMaxStops = 16;
inline constexpr int kMaxChoices = 16;

// Whose names and ranges.
enum class Dialect {
  kChat,        // OpenAI's
  kCompletion,  // OpenAI's text completions: no tokens at all may be asked for
  kLlama,       // llama-server's own: also any temperature, biases of texts, n_probs (left to the caller)
};

// temperature, top_p, top_k, min_p, penalties, seed, logit_bias, stop, stop_token_ids, ignore_eos,
// min_tokens, limits, cache_prompt, id_slot; and by name what cannot be done.
void read_generation(Fields& fields, const Context& context, dialog::DialogRequest& out,
                     Dialect dialect = Dialect::kChat);
// response_format, json_schema, grammar, structured_outputs and their older names.
void read_format(Fields& fields, dialog::DialogRequest& out);
// model: absent, or one of the served names.
std::optional<http::ApiError> check_model(const Json& body, const Context& context);

struct StreamOptions {
  bool stream = false, include_usage = false, continuous_usage = false;
  bool timings_per_token = false, return_progress = false;
  bool return_drafted = false;  // kakeya.return_drafted: which text came from the draft
};
StreamOptions read_stream_options(Fields& fields);

}  // namespace kakeya::serve::openai
