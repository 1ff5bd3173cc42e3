// Parts of an answer -> the objects that Ollama's /api/chat and /api/generate send, one a line.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dialog/dialog.h"
#include "serve/json.h"

namespace kakeya::serve::ollama {

// UTC with nanoseconds, as Ollama writes times. `ns` since 1970.
std::string time_text(std::int64_t ns);
std::string now_text();

class Lines {
 public:
  Lines(std::string model, bool generate) : model_(std::move(model)), generate_(generate) {}

  // The objects that this part makes; the last one has "done": true. A tool call leaves as a whole.
  // `report`: "kakeya" of the last object, with kFinished.
  std::vector<Json> add(const dialog::AnswerPart& part, const Json& report = nullptr);
  // Nothing new: an object that every reader of the stream takes. Blank lines break some of them.
  Json keepalive() const { return object("", ""); }
  // Answers with nothing to generate.
  Json loaded(bool unload) const;
  // All parts at once, for answers that are not streamed. Empty until kFinished came.
  const Json& whole() const { return whole_; }

 private:
  Json object(const std::string& thinking, const std::string& content) const;
  void end_call(std::vector<Json>& out);
  Json last(const dialog::AnswerPart& part) const;

  std::string model_;
  bool generate_;
  std::string thinking_, content_;
  Json calls_ = Json::array();
  std::string call_name_, call_arguments_;
  Json whole_;
};

}  // namespace kakeya::serve::ollama
