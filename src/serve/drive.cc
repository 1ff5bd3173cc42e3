#include "serve/drive.h"

#include <algorithm>

namespace kakeya::serve {
namespace {

using Clock = std::chrono::steady_clock;
using dialog::AnswerPart;

constexpr std::chrono::milliseconds kWait{200};  // a client that left is noticed within
constexpr std::chrono::milliseconds kWaitAmongSeveral{5};

bool is_last(const AnswerPart& part) {
  return part.kind == AnswerPart::Kind::kFinished || part.kind == AnswerPart::Kind::kFailed;
}

bool is_output(const AnswerPart& part) {
  return part.kind == AnswerPart::Kind::kReasoning || part.kind == AnswerPart::Kind::kContent ||
         part.kind == AnswerPart::Kind::kToolCall;
}

class Drive {
 public:
  Drive(Context& context, std::vector<std::unique_ptr<dialog::Reply>>& replies, const DriveHooks& hooks)
      : context_(context), replies_(replies), hooks_(hooks), open_(replies.size(), true) {
    first_.resize(replies.size(), true);
  }

  DriveEnd run() {
    std::size_t left = replies_.size();
    while (left > 0) {
      bool any = false;
      for (std::size_t i = 0; i < replies_.size(); ++i) {
        if (!open_[i]) continue;
        const auto part = replies_[i]->next(left > 1 ? kWaitAmongSeveral : kWait);
        if (!part) continue;
        any = true;
        observe(i, *part);
        if (is_last(*part)) {
          open_[i] = false;
          --left;
        }
        if (!hooks_.part(i, *part)) return leave();
      }
      if (any) last_part_ = Clock::now();
      if (!check_client(any)) return leave();
      check_time();
    }
    return timed_out_ ? DriveEnd::kTimeout : DriveEnd::kDone;
  }

 private:
  bool check_client(bool any) {
    const auto now = Clock::now();
    if (now - last_look_ >= kWait) {
      last_look_ = now;
      if (hooks_.gone && hooks_.gone()) return false;
    }
    if (any || !hooks_.silent || now - last_part_ < context_.options.keepalive) return true;
    last_part_ = now;
    return hooks_.silent();
  }

  void check_time() {
    const auto limit = context_.options.timeout;
    if (timed_out_ || limit.count() == 0 || Clock::now() - start_ < limit) return;
    timed_out_ = true;
    for (auto& reply : replies_) reply->cancel();
  }

  void observe(std::size_t choice, const AnswerPart& part) {
    if (first_[choice] && is_output(part)) {
      first_[choice] = false;
      context_.metrics.first_token(part.elapsed_ms);
    }
    if (part.kind == AnswerPart::Kind::kFinished && part.summary) {
      context_.metrics.finished(part.summary->completion, part.elapsed_ms);
    }
  }

  DriveEnd leave() {
    for (auto& reply : replies_) reply->cancel();
    replies_.clear();
    return DriveEnd::kGone;
  }

  Context& context_;
  std::vector<std::unique_ptr<dialog::Reply>>& replies_;
  const DriveHooks& hooks_;
  std::vector<bool> open_, first_;
  Clock::time_point start_ = Clock::now(), last_part_ = start_, last_look_ = start_;
  bool timed_out_ = false;
};

}  // namespace

DriveEnd drive(Context& context, std::vector<std::unique_ptr<dialog::Reply>>& replies,
               const DriveHooks& hooks) {
  return Drive(context, replies, hooks).run();
}

void add_part(WholeAnswer& answer, const AnswerPart& part) {
  if (answer.first_ms == 0 && is_output(part)) answer.first_ms = part.elapsed_ms;
  switch (part.kind) {
    case AnswerPart::Kind::kReasoning:
      answer.reasoning += part.text;
      break;
    case AnswerPart::Kind::kContent:
      answer.content += part.text;
      answer.ids.insert(answer.ids.end(), part.ids.begin(), part.ids.end());
      answer.logprobs.insert(answer.logprobs.end(), part.logprobs.begin(), part.logprobs.end());
      answer.prompt_logprobs.insert(answer.prompt_logprobs.end(), part.prompt_logprobs.begin(),
                                    part.prompt_logprobs.end());
      break;
    case AnswerPart::Kind::kToolCall:
      answer.tool_calls.push_back({part.call_id, part.tool_name, part.text});
      break;
    case AnswerPart::Kind::kToolArguments:
      if (part.call_index < answer.tool_calls.size()) {
        answer.tool_calls[part.call_index].arguments += part.text;
      }
      break;
    case AnswerPart::Kind::kFinished:
      answer.summary = part.summary;
      break;
    case AnswerPart::Kind::kFailed:
      answer.error = part.error;
      break;
    default:
      break;
  }
}

}  // namespace kakeya::serve
