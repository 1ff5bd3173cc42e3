// Anthropic's routes: /v1/messages and /v1/messages/count_tokens.
#pragma once
#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve::anthropic {

void add_routes(http::Router& router, Context& context);
// {"type":"error","error":{"type","message"}}
http::Response error_response(const http::ApiError& error);

}  // namespace kakeya::serve::anthropic
