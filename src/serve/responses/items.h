// The `input` of a request: a string or items, into messages.
#pragma once
#include <kakeya/chat.h>

#include <optional>

#include "serve/json.h"

namespace kakeya::serve::responses {

std::optional<http::ApiError> read_input(const Json& input, ChatRequest& chat);

}  // namespace kakeya::serve::responses
