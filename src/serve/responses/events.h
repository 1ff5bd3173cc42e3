// Parts of an answer -> the events of a streamed response, and the response as a whole.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dialog/dialog.h"
#include "serve/responses/request.h"

namespace kakeya::serve::responses {

// Every event has its name in "type", and a sequence number from 0 on.
class Events {
 public:
  Events(const Call& call, std::int64_t created_at);

  std::vector<Json> begin();  // before the first part
  // `report`: "kakeya" of the response, with kFinished.
  std::vector<Json> add(const dialog::AnswerPart& part, Json report = nullptr);
  std::vector<Json> fail(const std::string& code, const std::string& message);
  const Json& response() const { return response_; }

 private:
  enum class Open { kNothing, kReasoning, kText, kCall };

  void emit(const char* type, Json fields);
  void open(Open kind, Json item);
  void close();
  void close_text(const char* event, Json part);
  void close_call();
  void begin_text(Open kind);
  void finish(const dialog::AnswerPart& part);
  Json& item() { return response_["output"].back(); }
  std::size_t index() const { return response_["output"].size() - 1; }

  Json response_;
  std::set<std::string> custom_tools_;
  std::vector<Json> out_;
  Open open_ = Open::kNothing;
  std::string text_;  // of the open item
  std::uint64_t sequence_ = 0;
};

}  // namespace kakeya::serve::responses
