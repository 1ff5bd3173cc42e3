// Log-probabilities in the forms of chat and of text completions.
#pragma once
#include <vector>

#include "dialog/dialog.h"
#include "serve/json.h"

namespace kakeya::serve::openai {

// [{token, logprob, bytes, top_logprobs: [...]}]
Json chat_logprobs(const std::vector<TokenLogprob>& tokens, const Engine& engine);
// {tokens, token_logprobs, top_logprobs, text_offset}; `offset`: bytes of text before the first token.
Json completion_logprobs(const std::vector<TokenLogprob>& tokens, const Engine& engine, std::size_t offset);
// The same of a prompt that is echoed: `rest` are its tokens but the first, which nothing precedes (null).
Json echo_logprobs(Token first, const std::vector<TokenLogprob>& rest, const Engine& engine);
void append_logprobs(Json& to, const Json& more);  // both of this form

}  // namespace kakeya::serve::openai
