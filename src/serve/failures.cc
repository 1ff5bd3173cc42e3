#include "serve/failures.h"

#include <fmt/format.h>

namespace kakeya::serve {
namespace {

constexpr int kRetryFullSeconds = 2, kRetryDrainSeconds = 5;

}  // namespace

http::ApiError api_error(const Error& error, bool draining) {
  http::ApiError out;
  out.message = error.message;
  switch (error.code) {
    case ErrorCode::kContextOverflow:
      out.code = "context_length_exceeded";
      out.param = "messages";
      return out;
    case ErrorCode::kInvalidArgument:
      out.code = "invalid_value";
      return out;
    case ErrorCode::kUnsupported:
      out.code = "unsupported_value";
      return out;
    case ErrorCode::kNotFound:
      return out;
    case ErrorCode::kUnavailable:
      out.retry = true;
      if (draining) {
        out.status = 503;
        out.type = "unavailable_error";
        out.code = "server_closing";
        out.retry_after_s = kRetryDrainSeconds;
      } else {
        out.status = 429;
        out.type = "rate_limit_error";
        out.code = "queue_full";
        out.retry_after_s = kRetryFullSeconds;
      }
      return out;
    default:
      // Our own fault, and the same request would most likely meet it again.
      out.status = 500;
      out.type = "server_error";
      out.message = fmt::format("{}: {}", to_string(error.code), error.message);
      return out;
  }
}

http::ApiError bad_field(std::string param, std::string message) {
  http::ApiError error;
  error.message = std::move(message);
  error.param = std::move(param);
  error.code = "invalid_value";
  return error;
}

http::ApiError unsupported_field(std::string param, std::string message) {
  http::ApiError error = bad_field(std::move(param), std::move(message));
  error.code = "unsupported_parameter";
  return error;
}

http::ApiError model_not_found(const std::string& model, const std::string& served) {
  http::ApiError error;
  error.status = 404;
  error.message = fmt::format("The model '{}' does not exist; this server has '{}'.", model, served);
  error.param = "model";
  error.code = "model_not_found";
  return error;
}

}  // namespace kakeya::serve
