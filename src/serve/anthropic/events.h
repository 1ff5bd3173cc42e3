// Parts of an answer -> the events of a streamed message, and the message as a whole.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dialog/dialog.h"
#include "serve/json.h"

namespace kakeya::serve::anthropic {

// Every event has its name in "type" too.
class Events {
 public:
  explicit Events(std::string model);

  // `report`: "kakeya" of the message, with kFinished.
  std::vector<Json> add(const dialog::AnswerPart& part, const Json& report = nullptr);
  // The whole message, up to the last part added.
  const Json& message() const { return message_; }

 private:
  void start(std::vector<Json>& out);
  void open_block(Json block, std::vector<Json>& out);
  void close_block(std::vector<Json>& out);
  void text(const char* block, const char* delta, const char* field, const std::string& piece,
            std::vector<Json>& out);
  void finish(const dialog::AnswerPart& part, const Json& report, std::vector<Json>& out);

  Json message_;
  bool started_ = false;
  std::string open_;  // type of the open block, empty = none
  std::string arguments_;
};

}  // namespace kakeya::serve::anthropic
