#include "dialog/reply.h"

#include <algorithm>

#include "dialog/tool_call.h"

namespace kakeya::dialog {
namespace {

AnswerPart part_of(AnswerPart::Kind kind, double elapsed_ms) {
  AnswerPart part;
  part.kind = kind;
  part.elapsed_ms = elapsed_ms;
  return part;
}

AnswerPart::Kind kind_of(OutputPart::Kind kind) {
  if (kind == OutputPart::Kind::kReasoning) return AnswerPart::Kind::kReasoning;
  if (kind == OutputPart::Kind::kContent) return AnswerPart::Kind::kContent;
  return AnswerPart::Kind::kToolArguments;
}

}  // namespace

std::optional<AnswerPart> AnswerReply::next(std::chrono::milliseconds wait) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::min<std::chrono::milliseconds>(wait, std::chrono::hours(24 * 365));
  while (ready_.empty() && !over_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    auto event = answer_->next(std::max(left, std::chrono::milliseconds(0)));
    if (!event) return std::nullopt;
    absorb(std::move(*event));
  }
  if (ready_.empty()) return std::nullopt;
  AnswerPart part = std::move(ready_.front());
  ready_.pop_front();
  return part;
}

void AnswerReply::absorb(ServiceEvent event) {
  switch (event.kind) {
    case ServiceEvent::Kind::kStarted:
    case ServiceEvent::Kind::kProgress: {
      const bool started = event.kind == ServiceEvent::Kind::kStarted;
      ready_.push_back(
          part_of(started ? AnswerPart::Kind::kStarted : AnswerPart::Kind::kProgress, event.elapsed_ms));
      ready_.back().slot = event.slot;
      ready_.back().prompt_tokens = event.prompt_tokens;
      ready_.back().cached_tokens = event.cached_tokens;
      ready_.back().done = event.done;
      return;
    }
    case ServiceEvent::Kind::kText:
      return absorb_text(std::move(event));
    case ServiceEvent::Kind::kFinished:
      return finish(std::move(event));
    case ServiceEvent::Kind::kFailed:
      ready_.push_back(part_of(AnswerPart::Kind::kFailed, event.elapsed_ms));
      ready_.back().error = std::move(event.error);
      over_ = true;
  }
}

void AnswerReply::absorb_text(ServiceEvent event) {
  if (!options_.parse) {
    AnswerPart part = part_of(AnswerPart::Kind::kContent, event.elapsed_ms);
    part.text = std::move(event.text);
    part.ids = std::move(event.ids);
    part.logprobs = std::move(event.logprobs);
    part.prompt_logprobs = std::move(event.prompt_logprobs);
    part.drafted = std::move(event.drafted);
    ready_.push_back(std::move(part));
    return;
  }
  if (stops_.found()) return;  // tokens that were on their way when the answer was cancelled
  tokens_.add(event);
  std::vector<OutputPart> parts;
  parser_.push(event.text, parts);
  std::vector<OutputPart> shown;
  for (OutputPart& part : parts) stops_.pass(std::move(part), shown);
  give_out(std::move(shown), event.elapsed_ms);
  if (stops_.found()) answer_->cancel();
}

void AnswerReply::give_out(std::vector<OutputPart> parts, double elapsed_ms) {
  for (OutputPart& parsed : parts) {
    if (parsed.kind == OutputPart::Kind::kToolCall) {
      AnswerPart head = part_of(AnswerPart::Kind::kToolCall, elapsed_ms);
      head.call_index = calls_++;
      head.call_id = new_call_id();
      head.tool_name = std::move(parsed.tool_name);
      ready_.push_back(std::move(head));
    }
    AnswerPart part = part_of(kind_of(parsed.kind), elapsed_ms);
    part.text = std::move(parsed.text);
    if (part.kind == AnswerPart::Kind::kToolArguments) part.call_index = calls_ - 1;
    tokens_.take(parsed.begin, parsed.end, part);
    if (!part.text.empty()) ready_.push_back(std::move(part));  // the last bytes of a call are no arguments
  }
}

void AnswerReply::finish(ServiceEvent event) {
  if (options_.parse) {
    std::vector<OutputPart> parts, shown;
    parser_.finish(parts);
    for (OutputPart& parsed : parts) stops_.pass(std::move(parsed), shown);
    stops_.finish(shown);
    give_out(std::move(shown), event.elapsed_ms);
  }
  AnswerPart part = part_of(AnswerPart::Kind::kFinished, event.elapsed_ms);
  part.summary.emplace();
  part.summary->completion = std::move(event.completion);
  part.summary->tool_calls = parser_.calls() > 0;
  if (stops_.found()) {
    Completion& done = part.summary->completion;
    done.finish = FinishReason::kStop;
    done.stop_string = *stops_.found();
    done.stop_id.reset();
    done.usage.output_tokens = tokens_.count_before(stops_.end());  // not those of the pass behind it
    part.summary->tool_calls = calls_ > 0;                          // those behind it do not count
  }
  part.summary->reasoning_tokens = tokens_.count_before(parser_.reasoning_end());
  part.summary->seed = options_.seed;
  part.summary->loosened = options_.loosened;
  ready_.push_back(std::move(part));
  over_ = true;
}

}  // namespace kakeya::dialog
