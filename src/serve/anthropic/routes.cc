#include "serve/anthropic/routes.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "serve/anthropic/events.h"
#include "serve/anthropic/request.h"
#include "serve/failures.h"
#include "serve/http/sse.h"
#include "serve/replies.h"
#include "serve/report.h"
#include "serve/switches.h"

namespace kakeya::serve::anthropic {
namespace {

using http::ApiError;
using http::Request;
using http::Response;

const char* error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

Json error_object(const ApiError& error) {
  return {{"type", "error"}, {"error", {{"type", error_type(error.status)}, {"message", error.message}}}};
}

bool send_all(http::EventWriter& writer, const std::vector<Json>& events) {
  return std::all_of(events.begin(), events.end(), [&](const Json& event) {
    return writer.event(event, event["type"].get_ref<const std::string&>());
  });
}

Response stream_events(Context& context, std::shared_ptr<Replies> replies, std::shared_ptr<Events> events) {
  return http::event_stream([&context, replies, events](http::EventWriter& writer) {
    DriveHooks hooks;
    hooks.part = [&](std::size_t, const dialog::AnswerPart& part) {
      if (part.kind == dialog::AnswerPart::Kind::kFailed) {
        return send_all(writer, {error_object(api_error(part.error, context.draining))});
      }
      return send_all(writer, events->add(part, report_of(part, context)));
    };
    hooks.gone = [&] { return writer.gone(); };
    hooks.silent = [&] { return writer.keepalive(); };
    if (drive(context, *replies, hooks) == DriveEnd::kGone) context.metrics.abandoned();
  });
}

http::Answer whole_message(Context& context, const Request& request, Replies& replies, Events& events) {
  std::vector<WholeAnswer> unused;
  const auto add = [&](const dialog::AnswerPart& part) { events.add(part, report_of(part, context)); };
  if (const auto error = collect(context, request, replies, unused, add)) return *error;
  return json_response(events.message());
}

http::Answer messages(Context& context, const Request& request) {
  auto read = read_messages(request.body, false);
  if (const auto* error = std::get_if<ApiError>(&read)) return *error;
  Call& call = std::get<Call>(read);
  if (!context.serves(call.model)) return model_not_found(call.model, context.model_id);
  if (auto error = apply_switches(call.switches, context, call.request)) return *error;
  call.request.client = request.remote;
  auto replies = std::make_shared<Replies>();
  if (const auto error = ask_all(context, {std::move(call.request)}, 1, *replies)) return *error;
  auto events = std::make_shared<Events>(call.model);
  if (call.stream) return stream_events(context, std::move(replies), std::move(events));
  return whole_message(context, request, *replies, *events);
}

http::Answer count_tokens(Context& context, const Request& request) {
  auto read = read_messages(request.body, true);
  if (const auto* error = std::get_if<ApiError>(&read)) return *error;
  Call& call = std::get<Call>(read);
  if (!context.serves(call.model)) return model_not_found(call.model, context.model_id);
  auto& chat = std::get<ChatRequest>(call.request.input);
  if (call.request.tool_choice == dialog::ToolChoice::kNone) chat.tools_json.clear();
  const auto ids = context.engine.encode_chat(chat);
  if (!ids.ok()) return api_error(ids.error(), context.draining);
  return json_response({{"input_tokens", ids.value().size()}});
}

}  // namespace

Response error_response(const ApiError& error) {
  Response response = json_response(error_object(error), error.status);
  http::add_error_headers(error, response);
  return response;
}

void add_routes(http::Router& router, Context& context) {
  router.add({"POST", "/v1/messages",
              [&context](const Request& request) { return messages(context, request); }, false,
              error_response});
  router.add({"POST", "/v1/messages/count_tokens",
              [&context](const Request& request) { return count_tokens(context, request); }, false,
              error_response});
}

}  // namespace kakeya::serve::anthropic
