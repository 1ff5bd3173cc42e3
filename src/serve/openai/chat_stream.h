// Chunks of a streamed chat completion: one choice's parts -> deltas, in the order that clients rely on.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "serve/http/sse.h"
#include "serve/openai/chat_request.h"

namespace kakeya::serve::openai {

struct Head {  // the same in every chunk
  std::string id, model;
  std::int64_t created = 0;
};
Head new_head(const char* prefix, const Context& context);

class ChatStream {
 public:
  ChatStream(http::EventWriter& events, const Context& context, const ChatCall& call, Head head);
  bool start();  // the role chunk of every choice
  bool part(std::size_t choice, const dialog::AnswerPart& part);
  bool end();  // usage and [DONE], once every choice has finished
  bool fail(const http::ApiError& error);
  const std::optional<http::ApiError>& failure() const { return failure_; }

 private:
  struct Choice {
    Usage so_far;
    std::size_t drafted = 0;  // tokens so far that the draft proposed
    double first_ms = 0;
    bool custom = false;  // the running call is one of a custom tool: collected, sent whole
    std::size_t call_index = 0;
    std::string call_id, call_name, arguments;
  };

  Json chunk(std::size_t choice, Json delta) const;
  bool send(std::size_t choice, Json body);
  bool text(std::size_t choice, const dialog::AnswerPart& part);
  bool begin_call(std::size_t choice, const dialog::AnswerPart& part);
  bool arguments(std::size_t choice, const dialog::AnswerPart& part);
  bool flush_custom(std::size_t choice);
  bool finished(std::size_t choice, const dialog::AnswerPart& part);
  void count(Choice& choice, const dialog::AnswerPart& part);

  http::EventWriter& events_;
  const Context& context_;
  const ChatCall& call_;
  const Head head_;
  std::vector<Choice> choices_;
  std::vector<dialog::Summary> summaries_;
  std::optional<http::ApiError> failure_;
};

}  // namespace kakeya::serve::openai
