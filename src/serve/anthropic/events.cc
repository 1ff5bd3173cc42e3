#include "serve/anthropic/events.h"

#include "serve/ids.h"

namespace kakeya::serve::anthropic {
namespace {

using Kind = dialog::AnswerPart::Kind;

// Theirs counts what was read from a cache beside the other input tokens.
Json usage_of(std::size_t prompt, std::size_t cached, std::size_t output) {
  return {{"input_tokens", prompt - cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", cached},
          {"output_tokens", output}};
}

const char* stop_reason(const dialog::Summary& summary) {
  if (summary.completion.finish == FinishReason::kLength) return "max_tokens";
  if (summary.tool_calls) return "tool_use";
  return summary.completion.stop_string.empty() ? "end_turn" : "stop_sequence";
}

}  // namespace

Events::Events(std::string model)
    : message_{{"id", "msg_" + random_id()}, {"type", "message"},         {"role", "assistant"},
               {"model", std::move(model)},  {"content", Json::array()},  {"stop_reason", nullptr},
               {"stop_sequence", nullptr},   {"usage", usage_of(0, 0, 0)}} {}

void Events::start(std::vector<Json>& out) {
  if (started_) return;
  started_ = true;
  out.push_back({{"type", "message_start"}, {"message", message_}});
}

void Events::open_block(Json block, std::vector<Json>& out) {
  start(out);
  close_block(out);
  open_ = block["type"].get<std::string>();
  out.push_back(
      {{"type", "content_block_start"}, {"index", message_["content"].size()}, {"content_block", block}});
  message_["content"].push_back(std::move(block));
}

void Events::close_block(std::vector<Json>& out) {
  if (open_.empty()) return;
  if (open_ == "tool_use") {
    Json input = Json::parse(arguments_.empty() ? "{}" : arguments_, nullptr, false);
    // A call that a limit cut is no JSON: what came is kept where it can be seen.
    if (!input.is_object()) input = {{"incomplete", arguments_}};
    message_["content"].back()["input"] = std::move(input);
  }
  out.push_back({{"type", "content_block_stop"}, {"index", message_["content"].size() - 1}});
  open_.clear();
}

void Events::text(const char* block, const char* delta, const char* field, const std::string& piece,
                  std::vector<Json>& out) {
  if (piece.empty()) return;
  if (open_ != block) {
    Json opened = {{"type", block}, {field, ""}};
    if (std::string_view(block) == "thinking") opened["signature"] = "";
    open_block(std::move(opened), out);
  }
  Json& stored = message_["content"].back()[field];
  stored = stored.get<std::string>() + piece;
  out.push_back({{"type", "content_block_delta"},
                 {"index", message_["content"].size() - 1},
                 {"delta", {{"type", delta}, {field, piece}}}});
}

void Events::finish(const dialog::AnswerPart& part, const Json& report, std::vector<Json>& out) {
  start(out);
  close_block(out);
  const Completion& done = part.summary->completion;
  message_["stop_reason"] = stop_reason(*part.summary);
  if (!done.stop_string.empty()) message_["stop_sequence"] = done.stop_string;
  message_["usage"] = usage_of(done.usage.prompt_tokens, done.usage.cached_tokens, done.usage.output_tokens);
  out.push_back(
      {{"type", "message_delta"},
       {"delta", {{"stop_reason", message_["stop_reason"]}, {"stop_sequence", message_["stop_sequence"]}}},
       {"usage", message_["usage"]}});
  if (!report.is_null()) message_["kakeya"] = out.back()["kakeya"] = report;
  out.push_back({{"type", "message_stop"}});
}

std::vector<Json> Events::add(const dialog::AnswerPart& part, const Json& report) {
  std::vector<Json> out;
  switch (part.kind) {
    case Kind::kStarted:
      message_["usage"] = usage_of(part.prompt_tokens, part.cached_tokens, 0);
      start(out);
      break;
    case Kind::kReasoning:
      text("thinking", "thinking_delta", "thinking", part.text, out);
      break;
    case Kind::kContent:
      text("text", "text_delta", "text", part.text, out);
      break;
    case Kind::kToolCall:
      open_block(
          {{"type", "tool_use"}, {"id", part.call_id}, {"name", part.tool_name}, {"input", Json::object()}},
          out);
      arguments_.clear();
      break;
    case Kind::kToolArguments:
      arguments_ += part.text;
      out.push_back({{"type", "content_block_delta"},
                     {"index", message_["content"].size() - 1},
                     {"delta", {{"type", "input_json_delta"}, {"partial_json", part.text}}}});
      break;
    case Kind::kFinished:
      finish(part, report, out);
      break;
    default:
      break;
  }
  return out;
}

}  // namespace kakeya::serve::anthropic
