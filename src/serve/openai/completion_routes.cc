// POST /v1/completions.
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/openai/chat_stream.h"
#include "serve/openai/completion_request.h"
#include "serve/openai/logprobs.h"
#include "serve/openai/routes.h"
#include "serve/openai/usage.h"
#include "serve/replies.h"
#include "serve/report.h"

namespace kakeya::serve::openai {
namespace {

using dialog::AnswerPart;
using http::Answer;
using http::Request;
using http::Response;

Json choice_json(std::size_t index, const std::string& text) {
  return {{"text", text}, {"index", index}, {"logprobs", nullptr}, {"finish_reason", nullptr}};
}

Json body_json(const Head& head, Json choices) {
  return {{"id", head.id},       {"object", "text_completion"},         {"created", head.created},
          {"model", head.model}, {"system_fingerprint", fingerprint()}, {"choices", std::move(choices)}};
}

// Usage of several prompts: each counts, but once for its n answers.
Json usage_of(const std::vector<dialog::Summary>& summaries, int n) {
  std::size_t prompt = 0, cached = 0, output = 0;
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    const Usage& usage = summaries[i].completion.usage;
    if (i % static_cast<std::size_t>(n) == 0) {
      prompt += usage.prompt_tokens;
      cached += usage.cached_tokens;
    }
    output += usage.output_tokens;
  }
  return usage_json(prompt, cached, output, 0);
}

// The choice that shows prompt `i`, with its log-probabilities when they were asked for.
Json echo_json(std::size_t i, const std::vector<TokenLogprob>& logprobs, const CompletionCall& call,
               const Context& context) {
  const std::size_t at = i / static_cast<std::size_t>(call.n);
  Json choice = choice_json(i, call.echoes[at]);
  if (call.logprobs >= 0) {
    const Token first = std::get<std::vector<Token>>(call.dialogs[at].input).front();
    choice["logprobs"] = echo_logprobs(first, logprobs, context.engine);
  }
  return choice;
}

Json whole_json(const std::vector<WholeAnswer>& answers, const CompletionCall& call, const Context& context) {
  Json choices = Json::array();
  std::vector<dialog::Summary> summaries;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::string& echo = call.echoes[i / static_cast<std::size_t>(call.n)];
    Json choice = choice_json(i, echo + answers[i].content);
    if (call.logprobs >= 0) {
      Json logprobs = completion_logprobs(answers[i].logprobs, context.engine, echo.size());
      Json before =
          echo.empty() ? Json() : echo_json(i, answers[i].prompt_logprobs, call, context)["logprobs"];
      if (!echo.empty()) append_logprobs(before, logprobs);
      choice["logprobs"] = std::move(echo.empty() ? logprobs : before);
    }
    choice["finish_reason"] = finish_name(*answers[i].summary);
    choices.push_back(std::move(choice));
    summaries.push_back(*answers[i].summary);
  }
  Json body = body_json(new_head("cmpl-", context), std::move(choices));
  body["usage"] = usage_of(summaries, call.n);
  body["timings"] = timings_json(summaries.front());
  body["kakeya"] = kakeya_json(summaries, context);
  return body;
}

class CompletionStream {
 public:
  CompletionStream(http::EventWriter& events, Context& context, const CompletionCall& call)
      : events_(events), context_(context), call_(call), head_(new_head("cmpl-", context)) {
    const std::size_t count = call.dialogs.size() * static_cast<std::size_t>(call.n);
    for (std::size_t i = 0; i < count; ++i) offsets_.push_back(echo_of(i).size());
    echoed_.resize(count);
    summaries_.resize(count);
  }

  // Echoes go out at once, unless they wait for their log-probabilities.
  bool start() {
    for (std::size_t i = 0; i < offsets_.size() && call_.logprobs < 0; ++i) {
      if (!echo_of(i).empty() && !send(echo_json(i, {}, call_, context_))) return false;
    }
    return true;
  }

  bool part(std::size_t i, const AnswerPart& part) {
    if (part.kind == AnswerPart::Kind::kFailed) return fail(api_error(part.error, context_.draining));
    if (part.kind == AnswerPart::Kind::kFinished && part.summary) return finished(i, *part.summary);
    if (part.kind != AnswerPart::Kind::kContent) return true;
    const bool due = call_.logprobs >= 0 && !echoed_[i] && !echo_of(i).empty();
    if (due && !send(echo_json(i, part.prompt_logprobs, call_, context_))) return false;
    echoed_[i] = true;
    if (part.text.empty() && part.logprobs.empty()) return true;
    Json choice = choice_json(i, part.text);
    if (call_.logprobs >= 0) {
      choice["logprobs"] = completion_logprobs(part.logprobs, context_.engine, offsets_[i]);
      for (const TokenLogprob& token : part.logprobs)
        offsets_[i] += context_.engine.token_bytes(token.id).size();
    }
    return send(std::move(choice));
  }

  bool end() {
    if (call_.stream.include_usage) {
      Json body = body_json(head_, Json::array());
      body["usage"] = usage_of(summaries_, call_.n);
      if (!events_.event(body)) return false;
    }
    return events_.done();
  }

  bool failed() const { return failed_; }

 private:
  const std::string& echo_of(std::size_t i) const {
    return call_.echoes[i / static_cast<std::size_t>(call_.n)];
  }

  bool send(Json choice, const Json& extra = Json::object()) {
    Json body = body_json(head_, Json::array({std::move(choice)}));
    if (call_.stream.include_usage) body["usage"] = nullptr;
    body.update(extra);
    return events_.event(body);
  }

  bool finished(std::size_t i, const dialog::Summary& summary) {
    if (summary.completion.finish == FinishReason::kCancelled && context_.draining) {
      return fail(api_error({ErrorCode::kUnavailable, "The server is closing."}, true));
    }
    summaries_[i] = summary;
    Json choice = choice_json(i, "");
    choice["finish_reason"] = finish_name(summary);
    return send(std::move(choice),
                {{"timings", timings_json(summary)}, {"kakeya", kakeya_json(summary, context_)}});
  }

  bool fail(const http::ApiError& error) {
    failed_ = true;
    events_.event(Json::parse(http::openai_error(error).body));
    return false;
  }

  http::EventWriter& events_;
  Context& context_;
  const CompletionCall& call_;
  const Head head_;
  std::vector<std::size_t> offsets_;
  std::vector<bool> echoed_;
  std::vector<dialog::Summary> summaries_;
  bool failed_ = false;
};

Response stream(Context& context, CompletionCall call, Replies replies) {
  auto shared_call = std::make_shared<CompletionCall>(std::move(call));
  auto shared = std::make_shared<Replies>(std::move(replies));
  return http::event_stream([&context, shared_call, shared](http::EventWriter& events) {
    CompletionStream out(events, context, *shared_call);
    if (!out.start()) return context.metrics.abandoned();
    DriveHooks hooks;
    hooks.part = [&](std::size_t choice, const AnswerPart& part) { return out.part(choice, part); };
    hooks.gone = [&] { return events.gone(); };
    hooks.silent = [&] { return events.keepalive(); };
    if (drive(context, *shared, hooks) == DriveEnd::kGone) {
      if (!out.failed()) context.metrics.abandoned();
      return;
    }
    out.end();
  });
}

Answer completions(Context& context, const Request& request) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  CompletionCall call;
  if (auto error = read_completion(body, context, call)) return *error;
  for (dialog::DialogRequest& dialog : call.dialogs) dialog.client = client_of(request, body);
  Replies replies;
  if (auto error = ask_all(context, call.dialogs, call.n, replies, "prompt")) return *error;
  if (call.stream.stream) return stream(context, std::move(call), std::move(replies));
  std::vector<WholeAnswer> answers;
  if (auto error = collect(context, request, replies, answers)) return *error;
  return json_response(whole_json(answers, call, context));
}

}  // namespace

void add_completion_routes(http::Router& router, Context& context) {
  router.add({"POST", "/v1/completions",
              [&context](const Request& request) { return completions(context, request); }});
}

}  // namespace kakeya::serve::openai
