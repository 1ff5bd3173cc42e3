#include "serve/responses/routes.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "dialog/prompt.h"
#include "serve/failures.h"
#include "serve/http/sse.h"
#include "serve/replies.h"
#include "serve/report.h"
#include "serve/responses/events.h"
#include "serve/switches.h"

namespace kakeya::serve::responses {
namespace {

using http::ApiError;
using http::Request;
using http::Response;

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
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
        return send_all(writer, events->fail("server_error", part.error.message));
      }
      return send_all(writer, events->add(part, report_of(part, context)));
    };
    hooks.gone = [&] { return writer.gone(); };
    hooks.silent = [&] { return writer.keepalive(); };
    if (!send_all(writer, events->begin()) || drive(context, *replies, hooks) == DriveEnd::kGone) {
      context.metrics.abandoned();
    }
  });
}

http::Answer whole_response(Context& context, const Request& request, Replies& replies, Events& events) {
  std::vector<WholeAnswer> unused;
  const auto add = [&](const dialog::AnswerPart& part) { events.add(part, report_of(part, context)); };
  if (const auto error = collect(context, request, replies, unused, add)) return *error;
  return json_response(events.response());
}

std::optional<ApiError> check_model(const Context& context, Call& call) {
  if (call.model.empty()) call.model = context.model_id;
  if (!context.serves(call.model)) return model_not_found(call.model, context.model_id);
  return {};
}

http::Answer count_tokens(Context& context, const Request& request) {
  auto read = read_request(request.body);
  if (const auto* error = std::get_if<ApiError>(&read)) return *error;
  Call& call = std::get<Call>(read);
  if (auto error = check_model(context, call)) return *error;
  const auto prompt = dialog::build_prompt(context.engine, call.request);
  if (!prompt.ok()) return api_error(prompt.error(), context.draining);
  return json_response({{"object", "response.input_tokens"}, {"input_tokens", prompt->ids.size()}});
}

http::Answer create(Context& context, const Request& request) {
  auto read = read_request(request.body);
  if (const auto* error = std::get_if<ApiError>(&read)) return *error;
  Call& call = std::get<Call>(read);
  if (auto error = check_model(context, call)) return *error;
  if (auto error = apply_switches(call.switches, context, call.request)) return *error;
  auto events = std::make_shared<Events>(call, unix_seconds());
  call.request.client = request.remote;
  auto replies = std::make_shared<Replies>();
  if (const auto error = ask_all(context, {std::move(call.request)}, 1, *replies, "input")) return *error;
  if (call.stream) return stream_events(context, std::move(replies), std::move(events));
  return whole_response(context, request, *replies, *events);
}

}  // namespace

void add_routes(http::Router& router, Context& context) {
  router.add(
      {"POST", "/v1/responses", [&context](const Request& request) { return create(context, request); }});
  router.add({"POST", "/v1/responses/input_tokens",
              [&context](const Request& request) { return count_tokens(context, request); }});
}

}  // namespace kakeya::serve::responses
