#include "serve/application.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "serve/ids.h"
#include "serve/server.h"

namespace kakeya::serve {
namespace {

using http::ApiError;
using http::Request;
using http::Response;

ApiError unknown_route(const Request& request, const std::string& allowed) {
  ApiError error;
  if (allowed.empty()) {
    error.status = 404;
    error.code = "unknown_url";
    error.message = fmt::format("Unknown request URL: {} {}.", request.method, request.path);
  } else {
    error.status = 405;
    error.code = "method_not_allowed";
    error.message =
        fmt::format("{}: found the method {}, expected {}.", request.path, request.method, allowed);
  }
  return error;
}

bool is_json(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; "));
  return http::equal_ignoring_case(type, "application/json");
}

std::optional<ApiError> check_type(const Request& request, const http::Route& route) {
  ApiError error;
  error.status = 415;
  if (request.headers.has("content-encoding") && request.headers.get("content-encoding") != "identity") {
    error.code = "unsupported_encoding";
    error.message = "Content-Encoding: compressed request bodies are not taken.";
    return error;
  }
  if (route.method != "POST" || !route.json || is_json(request.headers.get("content-type"))) return {};
  error.code = "unsupported_media_type";
  error.message = fmt::format("Content-Type: found '{}', expected application/json.",
                              request.headers.get("content-type"));
  return error;
}

void log_request(const Request& request, const Response& response, bool json) {
  if (json) {
    const nlohmann::ordered_json line = {{"time", std::chrono::duration_cast<std::chrono::milliseconds>(
                                                      std::chrono::system_clock::now().time_since_epoch())
                                                      .count()},
                                         {"remote", request.remote},
                                         {"method", request.method},
                                         {"path", request.path},
                                         {"status", response.status}};
    fmt::print(stderr, "{}\n", line.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
    return;
  }
  std::string path;
  for (const char c : request.path.substr(0, 200)) path += c >= ' ' && c < 127 ? c : '?';
  fmt::print(stderr, "{} {} {} {}\n", request.remote, request.method, path, response.status);
}

}  // namespace

ServerApplication::ServerApplication(Context& context, http::AccessOptions access)
    : context_(context), access_(std::move(access)) {
  add_routes(router_, context_);
}

std::optional<Response> ServerApplication::before_body(Request& request) {
  const auto style = router_.style(request.path);
  if (const auto error = access_.check_host(request)) return style(*error);
  if (request.method == "OPTIONS") return access_.preflight(request);
  const http::Route* route = router_.find(request);
  if (route == nullptr || !route->open) {
    if (const auto error = access_.check_key(request)) return style(*error);
  }
  if (route == nullptr) {
    const std::string allowed = router_.allowed(request.path);
    Response response = style(unknown_route(request, allowed));
    if (!allowed.empty()) response.headers.emplace_back("allow", allowed);
    return response;
  }
  if (const auto error = check_type(request, *route)) return style(*error);
  return {};
}

Response ServerApplication::handle(Request& request) {
  const http::Route* route = router_.find(request);
  if (route == nullptr) return http::openai_error(unknown_route(request, ""));
  try {
    http::Answer answer = route->handler(request);
    if (auto* error = std::get_if<ApiError>(&answer)) return route->style(*error);
    return std::get<Response>(std::move(answer));
  } catch (const std::exception& error) {
    ApiError failure;
    failure.status = 500;
    failure.type = "server_error";
    failure.message = "The server failed on this request.";
    fmt::print(stderr, "error: {} {}: {}\n", request.method, route->path, error.what());
    return route->style(failure);
  }
}

Response ServerApplication::broken(const Request& request, int status, const std::string& why) {
  ApiError error;
  error.status = status;
  error.message = why;
  error.code = status == 413 ? "request_too_large" : "";
  if (status >= 500) error.type = "server_error";
  return router_.style(request.path)(error);
}

void ServerApplication::finish(const Request& request, Response& response) {
  access_.add_cors(request, response);
  response.headers.emplace_back("x-request-id", "req_" + random_id());
  Request copy;
  copy.method = request.method;
  copy.path = request.path;
  const http::Route* route = router_.find(copy);
  context_.metrics.http(route != nullptr              ? route->path
                        : request.method == "OPTIONS" ? "OPTIONS"
                                                      : "unknown",
                        response.status);
  if (context_.options.log_requests) log_request(request, response, context_.options.json_log);
}

}  // namespace kakeya::serve
