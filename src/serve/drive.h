// Pulls the parts of one request's answers, several at once when n > 1, and watches the client, the clock
// and the silence meanwhile. Every family of routes runs its answers through it.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dialog/dialog.h"
#include "serve/context.h"

namespace kakeya::serve {

struct DriveHooks {
  // A part of answer `choice`. False ends everything: the client took no more.
  std::function<bool(std::size_t choice, const dialog::AnswerPart& part)> part;
  std::function<bool()> gone;    // the client has closed the connection
  std::function<bool()> silent;  // options.keepalive passed without a part; false = the client is gone
};

enum class DriveEnd {
  kDone,     // every answer sent kFinished or kFailed
  kGone,     // the client left: all answers are cancelled
  kTimeout,  // options.timeout passed: answers were cancelled, and their kFinished was still delivered
};

DriveEnd drive(Context& context, std::vector<std::unique_ptr<dialog::Reply>>& replies,
               const DriveHooks& hooks);

// One whole answer, for responses that are not streamed.
struct WholeToolCall {
  std::string id, name, arguments;
};
struct WholeAnswer {
  std::string reasoning, content;
  std::vector<WholeToolCall> tool_calls;
  std::vector<Token> ids;                               // of the content
  std::vector<TokenLogprob> logprobs, prompt_logprobs;  // of the content's tokens; as AnswerPart
  std::optional<dialog::Summary> summary;
  std::optional<Error> error;
  double first_ms = 0;  // to the first part with text
};
void add_part(WholeAnswer& answer, const dialog::AnswerPart& part);

}  // namespace kakeya::serve
