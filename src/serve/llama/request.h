// The body of POST /completion and POST /infill, llama-server's own routes.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dialog/dialog.h"
#include "serve/context.h"
#include "serve/json.h"
#include "serve/openai/generation_fields.h"

namespace kakeya::serve::llama {

struct CompletionCall {
  std::vector<dialog::DialogRequest> dialogs;  // one a prompt
  int n = 1;                                   // answers a prompt
  openai::StreamOptions stream;
  bool return_tokens = false;
  bool post_sampling = false;  // probabilities as they are drawn from, of greedy answers
  std::int64_t n_predict = -1;
  std::int64_t n_keep = 0;
  std::int64_t predict_ms = 0;  // of an answer with a new line in it, from its first token on; 0 = no limit
  std::vector<std::string> response_fields;

  bool several() const { return dialogs.size() * static_cast<std::size_t>(n) > 1; }
  int n_probs() const { return std::max(dialogs.front().logprobs, 0); }
};

std::optional<http::ApiError> read_completion(const Json& body, const Context& context, CompletionCall& out);
// input_prefix, input_suffix, input_extra, prompt; the rest as read_completion.
std::optional<http::ApiError> read_infill(const Json& body, const Context& context, CompletionCall& out);

}  // namespace kakeya::serve::llama
