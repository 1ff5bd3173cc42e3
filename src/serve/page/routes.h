// GET /: the chat page for browsers, Ollama's greeting for everyone else.
#pragma once
#include "serve/http/router.h"

namespace kakeya::serve::page {

void add_routes(http::Router& router);

}  // namespace kakeya::serve::page
