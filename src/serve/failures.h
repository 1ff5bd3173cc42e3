// Errors of the engine and of requests -> HTTP statuses, one place for all families of routes.
#pragma once
#include <kakeya/result.h>

#include <string>

#include "serve/http/message.h"

namespace kakeya::serve {

// kContextOverflow: 400 context_length_exceeded; kInvalidArgument, kUnsupported, kNotFound: 400;
// kUnavailable: 429 when the queue is full, 503 while draining; the rest 500.
http::ApiError api_error(const Error& error, bool draining);

http::ApiError bad_field(std::string param, std::string message);
// A field that we know and cannot honour: nothing is dropped silently.
http::ApiError unsupported_field(std::string param, std::string message);
http::ApiError model_not_found(const std::string& model, const std::string& served);

}  // namespace kakeya::serve
