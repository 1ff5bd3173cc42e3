#include "serve/replies.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/failures.h"

namespace kakeya::serve {
namespace {

constexpr int kClientClosed = 499;  // nginx's number; nobody reads it but the log

http::ApiError client_left() {
  http::ApiError error;
  error.status = kClientClosed;
  error.message = "The client closed the connection.";
  return error;
}

http::ApiError late() {
  http::ApiError error;
  error.status = 503;
  error.type = "unavailable_error";
  error.code = "request_timeout";
  error.message = "The time limit of this server (--timeout) passed before the answer began.";
  return error;
}

}  // namespace

void apply_defaults(const RequestDefaults& defaults, dialog::DialogRequest& request) {
  if (!request.sampling.temperature) request.sampling.temperature = defaults.temperature;
  if (!request.sampling.seed) request.sampling.seed = defaults.seed;
  if (!defaults.max_tokens) return;
  request.max_tokens = std::min(request.max_tokens.value_or(*defaults.max_tokens), *defaults.max_tokens);
}

std::optional<http::ApiError> ask_all(Context& context, const std::vector<dialog::DialogRequest>& requests,
                                      int n, Replies& replies) {
  if (context.draining) return api_error({ErrorCode::kUnavailable, "The server is closing."}, true);
  for (const dialog::DialogRequest& request : requests) {
    for (int i = 0; i < n; ++i) {
      dialog::DialogRequest copy = request;
      apply_defaults(context.options.defaults, copy);
      if (copy.sampling.seed) *copy.sampling.seed += static_cast<std::uint64_t>(i);
      auto reply = context.ask(std::move(copy));
      if (!reply.ok()) {
        replies.clear();
        return api_error(reply.error(), context.draining);
      }
      replies.push_back(std::move(*reply));
    }
  }
  return {};
}

std::optional<http::ApiError> collect(Context& context, const http::Request& request, Replies& replies,
                                      std::vector<WholeAnswer>& answers,
                                      const std::function<void(const dialog::AnswerPart&)>& each) {
  answers.assign(replies.size(), {});
  DriveHooks hooks;
  hooks.part = [&](std::size_t choice, const dialog::AnswerPart& part) {
    add_part(answers[choice], part);
    if (each) each(part);
    return part.kind != dialog::AnswerPart::Kind::kFailed;
  };
  hooks.gone = request.gone;
  const DriveEnd end = drive(context, replies, hooks);
  for (const WholeAnswer& answer : answers) {
    if (answer.error) return api_error(*answer.error, context.draining);
  }
  if (end == DriveEnd::kGone) {
    context.metrics.abandoned();
    return client_left();
  }
  for (const WholeAnswer& answer : answers) {
    const bool cancelled = !answer.summary || answer.summary->completion.finish == FinishReason::kCancelled;
    if (cancelled && context.draining) {
      return api_error({ErrorCode::kUnavailable, "The server is closing."}, true);
    }
    if (!answer.summary || (cancelled && answer.summary->completion.usage.output_tokens == 0)) return late();
  }
  return {};
}

std::string client_of(const http::Request& request, const Json& body) {
  const auto user = body.find("user");
  return request.remote + "/" + (user != body.end() && user->is_string() ? user->get<std::string>() : "");
}

}  // namespace kakeya::serve
