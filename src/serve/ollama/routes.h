// Ollama's routes, for Raycast, LangChain's and Continue's Ollama providers and others.
#pragma once
#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve::ollama {

void add_routes(http::Router& router, Context& context);

}  // namespace kakeya::serve::ollama
