// OpenAI's /v1/responses, without memory between requests.
#pragma once
#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve::responses {

void add_routes(http::Router& router, Context& context);

}  // namespace kakeya::serve::responses
