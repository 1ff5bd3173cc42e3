// POST /v1/chat/completions.
#include <nlohmann/json.hpp>

#include "dialog/prompt.h"
#include "serve/drive.h"
#include "serve/failures.h"
#include "serve/openai/chat_request.h"
#include "serve/openai/chat_stream.h"
#include "serve/openai/logprobs.h"
#include "serve/openai/routes.h"
#include "serve/openai/tools.h"
#include "serve/openai/usage.h"
#include "serve/replies.h"
#include "serve/report.h"

namespace kakeya::serve::openai {
namespace {

using http::Answer;
using http::ApiError;
using http::Request;
using http::Response;

Json tool_calls_json(const WholeAnswer& answer, const ChatCall& call) {
  Json calls = Json::array();
  for (const WholeToolCall& made : answer.tool_calls) {
    if (call.custom_tools.count(made.name) != 0) {
      calls.push_back({{"id", made.id},
                       {"type", "custom"},
                       {"custom", {{"name", made.name}, {"input", custom_input(made.arguments)}}}});
    } else {
      calls.push_back({{"id", made.id},
                       {"type", "function"},
                       {"function", {{"name", made.name}, {"arguments", made.arguments}}}});
    }
  }
  return calls;
}

Json choice_json(std::size_t index, const WholeAnswer& answer, const ChatCall& call, const Context& context) {
  const bool only_calls = answer.content.empty() && !answer.tool_calls.empty();
  Json message = {{"role", "assistant"},
                  {"content", only_calls ? Json(nullptr) : Json(answer.content)},
                  {"refusal", nullptr}};
  if (!answer.reasoning.empty()) {
    message["reasoning_content"] = answer.reasoning;
    message["reasoning"] = answer.reasoning;
  }
  if (!answer.tool_calls.empty()) message["tool_calls"] = tool_calls_json(answer, call);
  Json choice = {{"index", index},
                 {"message", std::move(message)},
                 {"logprobs", nullptr},
                 {"finish_reason", finish_name(*answer.summary)}};
  if (call.dialog.logprobs >= 0) {
    choice["logprobs"] = {{"content", chat_logprobs(answer.logprobs, context.engine)}, {"refusal", nullptr}};
  }
  if (!answer.summary->completion.stop_string.empty()) {
    choice["stop_reason"] = answer.summary->completion.stop_string;
  }
  return choice;
}

Json whole_json(const std::vector<WholeAnswer>& answers, const ChatCall& call, const Context& context) {
  const Head head = new_head("chatcmpl-", context);
  Json choices = Json::array();
  std::vector<dialog::Summary> summaries;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    choices.push_back(choice_json(i, answers[i], call, context));
    summaries.push_back(*answers[i].summary);
  }
  return {{"id", head.id},
          {"object", "chat.completion"},
          {"created", head.created},
          {"model", head.model},
          {"system_fingerprint", fingerprint()},
          {"choices", std::move(choices)},
          {"usage", usage_json(summaries)},
          {"timings", timings_json(summaries.front())},
          {"kakeya", kakeya_json(summaries, context)}};
}

Response stream(Context& context, ChatCall call, Replies replies) {
  auto shared_call = std::make_shared<ChatCall>(std::move(call));
  auto shared = std::make_shared<Replies>(std::move(replies));
  return http::event_stream([&context, shared_call, shared](http::EventWriter& events) {
    ChatStream out(events, context, *shared_call, new_head("chatcmpl-", context));
    if (!out.start()) return context.metrics.abandoned();
    DriveHooks hooks;
    hooks.part = [&](std::size_t choice, const dialog::AnswerPart& part) { return out.part(choice, part); };
    hooks.gone = [&] { return events.gone(); };
    hooks.silent = [&] { return events.keepalive(); };
    if (drive(context, *shared, hooks) == DriveEnd::kGone) {
      if (!out.failure()) context.metrics.abandoned();
      return;
    }
    out.end();
  });
}

Answer chat_completions(Context& context, const Request& request) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  ChatCall call;
  if (auto error = read_chat(body, context, call)) return *error;
  call.dialog.client = client_of(request, body);
  Replies replies;
  if (auto error =
          ask_all(context, {call.dialog}, call.n, replies, body.contains("messages") ? "messages" : "input"))
    return *error;
  if (call.stream.stream) return stream(context, std::move(call), std::move(replies));
  std::vector<WholeAnswer> answers;
  if (auto error = collect(context, request, replies, answers)) return *error;
  return json_response(whole_json(answers, call, context));
}

// What the prompt of such a request has, in the form of OpenAI's /v1/responses/input_tokens.
Answer count_tokens(Context& context, const Request& request) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  ChatCall call;
  if (auto error = read_chat(body, context, call)) return *error;
  const auto prompt = dialog::build_prompt(context.engine, call.dialog);
  if (!prompt.ok()) return api_error(prompt.error(), context.draining);
  return json_response({{"object", "response.input_tokens"}, {"input_tokens", prompt->ids.size()}});
}

}  // namespace

void add_chat_routes(http::Router& router, Context& context) {
  router.add({"POST", "/v1/chat/completions",
              [&context](const Request& request) { return chat_completions(context, request); }});
  router.add({"POST", "/v1/chat/completions/input_tokens",
              [&context](const Request& request) { return count_tokens(context, request); }});
}

}  // namespace kakeya::serve::openai
