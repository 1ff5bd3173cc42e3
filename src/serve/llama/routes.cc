#include "serve/llama/routes.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/http/sse.h"
#include "serve/llama/answer.h"
#include "serve/llama/request.h"
#include "serve/llama/time_limit.h"
#include "serve/replies.h"

namespace kakeya::serve::llama {
namespace {

using dialog::AnswerPart;
using http::Answer;
using http::ApiError;
using http::Request;
using http::Response;

using Reader = std::optional<ApiError> (*)(const Json&, const Context&, CompletionCall&);

struct Run {
  CompletionCall call;
  Replies replies;
};

// Events of every answer; no [DONE] at the end, as llama-server.
void send_events(Context& context, Run& run, http::EventWriter& events) {
  PartialAnswers answers(run.call, context);
  bool failed = false;
  const auto fail = [&](const ApiError& error) {
    failed = true;
    events.event(Json::parse(http::openai_error(error).body));
    return false;
  };
  DriveHooks hooks;
  hooks.part = [&](std::size_t index, const AnswerPart& part) {
    if (part.kind == AnswerPart::Kind::kFailed) return fail(api_error(part.error, context.draining));
    const bool cut = part.summary && part.summary->completion.finish == FinishReason::kCancelled;
    if (cut && context.draining)
      return fail(api_error({ErrorCode::kUnavailable, "The server is closing."}, true));
    const auto made = answers.add(index, part);
    return std::all_of(made.begin(), made.end(), [&](const Json& event) { return events.event(event); });
  };
  hooks.gone = [&] { return events.gone(); };
  hooks.silent = [&] { return events.keepalive(); };
  if (drive(context, run.replies, hooks) == DriveEnd::kGone && !failed) context.metrics.abandoned();
}

Answer whole(Context& context, const Request& request, Run& run) {
  std::vector<WholeAnswer> answers;
  if (auto error = collect(context, request, run.replies, answers)) return *error;
  Json bodies = Json::array();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    bodies.push_back(whole_json(run.call, i, answers[i], false, context));
  }
  return json_response(run.call.several() ? bodies : bodies.front());
}

Answer complete(Context& context, const Request& request, Reader read) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  auto run = std::make_shared<Run>();
  if (auto error = read(body, context, run->call)) return *error;
  for (dialog::DialogRequest& dialog : run->call.dialogs) dialog.client = client_of(request, body);
  if (auto error = ask_all(context, run->call.dialogs, run->call.n, run->replies, "prompt")) return *error;
  if (run->call.predict_ms > 0) {
    for (auto& reply : run->replies) {
      reply = std::make_unique<TimeLimitedReply>(std::move(reply),
                                                 std::chrono::milliseconds(run->call.predict_ms));
    }
  }
  if (!run->call.stream.stream) return whole(context, request, *run);
  return http::event_stream(
      [&context, run](http::EventWriter& events) { send_events(context, *run, events); });
}

}  // namespace

void add_routes(http::Router& router, Context& context) {
  router.add({"POST", "/completion",
              [&context](const Request& request) { return complete(context, request, read_completion); }});
  router.add({"POST", "/infill",
              [&context](const Request& request) { return complete(context, request, read_infill); }});
}

}  // namespace kakeya::serve::llama
