#include "serve/replies.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <string>

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

// The field that a refused request's error is about, where it can be told; else empty.
std::string param_of(const Context& context, const dialog::DialogRequest& request, const Error& error) {
  if (error.code != ErrorCode::kInvalidArgument && error.code != ErrorCode::kUnsupported) return {};
  for (const char* name : {"tools", "tool_choice", "kv", "draft_kv", "max_tokens"}) {
    if (!error.message.starts_with(name)) continue;
    const std::size_t n = std::char_traits<char>::length(name);
    if (error.message.size() > n && (error.message[n] == ':' || error.message[n] == '[')) return name;
  }
  if (error.message.starts_with("slot")) return "id_slot";
  if (!request.format) return {};
  const auto alone = context.engine.new_constraint(*request.format);
  return alone.ok() ? std::string() : request.format_name;
}

// Marks the parts of one answer, so that a closing service runs all of it or nothing.
std::uint64_t next_group() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

void apply_defaults(const RequestDefaults& defaults, dialog::DialogRequest& request) {
  if (!request.sampling.temperature) request.sampling.temperature = defaults.temperature;
  if (!request.sampling.seed) request.sampling.seed = defaults.seed;
  if (!defaults.max_tokens) return;
  request.max_tokens = std::min(request.max_tokens.value_or(*defaults.max_tokens), *defaults.max_tokens);
}

std::optional<http::ApiError> ask_all(Context& context, const std::vector<dialog::DialogRequest>& requests,
                                      int n, Replies& replies, const char* prompt_field) {
  if (context.draining) return api_error({ErrorCode::kUnavailable, "The server is closing."}, true);
  const std::size_t count = requests.size() * static_cast<std::size_t>(n);
  const ServiceOptions& room = context.service.options();
  if (count > room.slots + room.max_queue) {
    const std::string field = n > 1 ? "n" : prompt_field;
    return bad_field(field, field + ": found " + std::to_string(count) + " answers, expected at most " +
                                std::to_string(room.slots + room.max_queue) +
                                ", what this server runs and keeps waiting (--slots, --queue).");
  }
  const std::uint64_t group = count > 1 ? next_group() : 0;
  for (const dialog::DialogRequest& request : requests) {
    for (int i = 0; i < n; ++i) {
      dialog::DialogRequest copy = request;
      copy.group = group;
      apply_defaults(context.options.defaults, copy);
      if (copy.sampling.seed) *copy.sampling.seed += static_cast<std::uint64_t>(i);
      auto reply = context.ask(std::move(copy));
      if (!reply.ok()) {
        replies.clear();
        http::ApiError told = api_error(reply.error(), context.draining);
        if (reply.error().code == ErrorCode::kContextOverflow) told.param = prompt_field;
        if (told.param.empty()) told.param = param_of(context, request, reply.error());
        return told;
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
