// The body of POST /v1/completions.
#pragma once
#include <string>
#include <vector>

#include "dialog/dialog.h"
#include "serve/context.h"
#include "serve/json.h"
#include "serve/openai/generation_fields.h"

namespace kakeya::serve::openai {

struct CompletionCall {
  std::vector<dialog::DialogRequest> dialogs;  // one a prompt
  std::vector<std::string> echoes;             // text put before each prompt's answers; empty without echo
  int n = 1, logprobs = -1;                    // with an echo, of the prompt's tokens too
  StreamOptions stream;
};

std::optional<http::ApiError> read_completion(const Json& body, const Context& context, CompletionCall& out);

}  // namespace kakeya::serve::openai
