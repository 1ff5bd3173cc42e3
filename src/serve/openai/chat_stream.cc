#include "serve/openai/chat_stream.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/ids.h"
#include "serve/openai/drafted.h"
#include "serve/openai/logprobs.h"
#include "serve/openai/tools.h"
#include "serve/openai/usage.h"
#include "serve/report.h"

namespace kakeya::serve::openai {

using dialog::AnswerPart;

Head new_head(const char* prefix, const Context& context) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {prefix + random_id(), context.model_id,
          std::chrono::duration_cast<std::chrono::seconds>(now).count()};
}

ChatStream::ChatStream(http::EventWriter& events, const Context& context, const ChatCall& call, Head head)
    : events_(events), context_(context), call_(call), head_(std::move(head)) {
  choices_.resize(static_cast<std::size_t>(call.n));
}

Json ChatStream::chunk(std::size_t choice, Json delta) const {
  Json body = {{"id", head_.id},
               {"object", "chat.completion.chunk"},
               {"created", head_.created},
               {"model", head_.model},
               {"system_fingerprint", fingerprint()},
               {"choices", Json::array({{{"index", choice},
                                         {"delta", std::move(delta)},
                                         {"logprobs", nullptr},
                                         {"finish_reason", nullptr}}})}};
  if (call_.stream.include_usage) body["usage"] = nullptr;
  return body;
}

bool ChatStream::send(std::size_t choice, Json body) {
  const Usage& now = choices_[choice].so_far;
  if (call_.stream.timings_per_token && !body.contains("timings")) body["timings"] = timings_json(now);
  if (call_.stream.continuous_usage) {
    body["usage"] = usage_json(now.prompt_tokens, now.cached_tokens, now.output_tokens, 0);
  }
  return events_.event(body);
}

bool ChatStream::start() {
  bool ok = true;
  for (std::size_t i = 0; i < choices_.size() && ok; ++i) {
    ok = events_.event(chunk(i, {{"role", "assistant"}, {"content", ""}}));
  }
  return ok;
}

void ChatStream::count(Choice& choice, const AnswerPart& part) {
  Usage& usage = choice.so_far;
  if (part.prompt_tokens > 0) usage.prompt_tokens = part.prompt_tokens;
  if (part.kind == AnswerPart::Kind::kStarted) {
    usage.cached_tokens = part.cached_tokens;
    usage.queued_ms = part.elapsed_ms;
  }
  if (part.ids.empty()) return;
  if (usage.output_tokens == 0) {
    choice.first_ms = part.elapsed_ms;
    usage.prefill_ms = part.elapsed_ms - usage.queued_ms;
  }
  usage.output_tokens += part.ids.size();
  choice.drafted += static_cast<std::size_t>(std::count(part.drafted.begin(), part.drafted.end(), 1));
  usage.decode_ms = part.elapsed_ms - choice.first_ms;
}

bool ChatStream::text(std::size_t choice, const AnswerPart& part) {
  if (part.text.empty() && part.logprobs.empty()) return true;
  Json body = chunk(choice, part.kind == AnswerPart::Kind::kContent
                                ? Json{{"content", part.text}}
                                : Json{{"reasoning_content", part.text}, {"reasoning", part.text}});
  if (call_.dialog.logprobs >= 0 && part.kind == AnswerPart::Kind::kContent) {
    body["choices"][0]["logprobs"] = {{"content", chat_logprobs(part.logprobs, context_.engine)},
                                      {"refusal", nullptr}};
  }
  if (call_.stream.return_drafted) {
    body["kakeya"] = {{"drafted", drafted_runs(part, context_.engine)},
                      {"drafted_n", choices_[choice].drafted}};
  }
  return send(choice, std::move(body));
}

bool ChatStream::begin_call(std::size_t choice, const AnswerPart& part) {
  if (!flush_custom(choice)) return false;
  Choice& now = choices_[choice];
  now.custom = call_.custom_tools.count(part.tool_name) != 0;
  now.call_index = part.call_index;
  now.call_id = part.call_id;
  now.call_name = part.tool_name;
  now.arguments = part.text;
  if (now.custom) return true;
  const Json call = {{"index", part.call_index},
                     {"id", part.call_id},
                     {"type", "function"},
                     {"function", {{"name", part.tool_name}, {"arguments", ""}}}};
  if (!send(choice, chunk(choice, {{"tool_calls", Json::array({call})}}))) return false;
  return part.text.empty() || arguments(choice, part);
}

bool ChatStream::arguments(std::size_t choice, const AnswerPart& part) {
  if (choices_[choice].custom) {
    choices_[choice].arguments += part.text;
    return true;
  }
  if (part.text.empty()) return true;
  const Json call = {{"index", part.call_index}, {"function", {{"arguments", part.text}}}};
  return send(choice, chunk(choice, {{"tool_calls", Json::array({call})}}));
}

bool ChatStream::flush_custom(std::size_t choice) {
  Choice& now = choices_[choice];
  if (!now.custom) return true;
  now.custom = false;
  const Json begin = {{"index", now.call_index},
                      {"id", now.call_id},
                      {"type", "custom"},
                      {"custom", {{"name", now.call_name}, {"input", ""}}}};
  const Json input = {{"index", now.call_index}, {"custom", {{"input", custom_input(now.arguments)}}}};
  return send(choice, chunk(choice, {{"tool_calls", Json::array({begin})}})) &&
         send(choice, chunk(choice, {{"tool_calls", Json::array({input})}}));
}

bool ChatStream::finished(std::size_t choice, const AnswerPart& part) {
  if (!flush_custom(choice)) return false;
  if (!part.summary) return true;
  const dialog::Summary& summary = *part.summary;
  if (summary.completion.finish == FinishReason::kCancelled && context_.draining) {
    return fail(api_error({ErrorCode::kUnavailable, "The server is closing."}, true));
  }
  summaries_.push_back(summary);
  choices_[choice].so_far = summary.completion.usage;
  Json body = chunk(choice, Json::object());
  body["choices"][0]["finish_reason"] = finish_name(summary);
  if (!summary.completion.stop_string.empty()) {
    body["choices"][0]["stop_reason"] = summary.completion.stop_string;
  }
  body["timings"] = timings_json(summary);
  body["kakeya"] = kakeya_json(summary, context_);
  return send(choice, std::move(body));
}

bool ChatStream::part(std::size_t choice, const AnswerPart& part) {
  count(choices_[choice], part);
  switch (part.kind) {
    case AnswerPart::Kind::kStarted:
      return true;
    case AnswerPart::Kind::kProgress: {
      if (!call_.stream.return_progress) return true;
      Json body = chunk(choice, Json::object());
      AnswerPart with_cache = part;
      with_cache.prompt_tokens = choices_[choice].so_far.prompt_tokens;
      with_cache.cached_tokens = choices_[choice].so_far.cached_tokens;
      body["prompt_progress"] = progress_json(with_cache);
      return send(choice, std::move(body));
    }
    case AnswerPart::Kind::kReasoning:
    case AnswerPart::Kind::kContent:
      return text(choice, part);
    case AnswerPart::Kind::kToolCall:
      return begin_call(choice, part);
    case AnswerPart::Kind::kToolArguments:
      return arguments(choice, part);
    case AnswerPart::Kind::kFinished:
      return finished(choice, part);
    case AnswerPart::Kind::kFailed:
      return fail(api_error(part.error, context_.draining));
  }
  return true;
}

bool ChatStream::fail(const http::ApiError& error) {
  failure_ = error;
  events_.event(Json::parse(http::openai_error(error).body));
  return false;
}

bool ChatStream::end() {
  if (call_.stream.include_usage) {
    Json body = chunk(0, Json::object());
    body["choices"] = Json::array();
    body["usage"] = usage_json(summaries_);
    if (!events_.event(body)) return false;
  }
  return events_.done();
}

}  // namespace kakeya::serve::openai
