// Routes that are no dialog: models, health, metrics, slots, tokens. Of OpenAI's, llama-server's and vLLM's
// API.
#pragma once
#include <string_view>

#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve::common {

void add_routes(http::Router& router, Context& context);
void add_slot_routes(http::Router& router, Context& context);   // /slots
void add_token_routes(http::Router& router, Context& context);  // /tokenize, /detokenize, /apply-template

// 501: the server was told not to answer this.
http::ApiError switched_off(const char* what, const char* flag);

// A name alone: no folder, nothing hidden, nothing that a file system or a terminal takes for more.
bool plain_file_name(std::string_view name);

}  // namespace kakeya::serve::common
