// llama-server's own routes: POST /completion, POST /infill.
#pragma once
#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve::llama {

void add_routes(http::Router& router, Context& context);

}  // namespace kakeya::serve::llama
