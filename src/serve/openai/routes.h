// Routes of OpenAI's API: chat, text completions, embeddings.
#pragma once
#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve::openai {

void add_chat_routes(http::Router& router, Context& context);
void add_completion_routes(http::Router& router, Context& context);
void add_embedding_routes(http::Router& router, Context& context);

}  // namespace kakeya::serve::openai
