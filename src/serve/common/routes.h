// Routes that are no dialog: models, health, metrics, slots, tokens. Of OpenAI's, llama-server's and vLLM's
// API.
#pragma once
#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve::common {

void add_routes(http::Router& router, Context& context);

}  // namespace kakeya::serve::common
