#include "serve/responses/events.h"

#include <utility>

#include "serve/ids.h"

namespace kakeya::serve::responses {
namespace {

using Kind = dialog::AnswerPart::Kind;

Json text_part(const std::string& text) {
  return {
      {"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
}

Json usage_of(const dialog::Summary& summary) {
  const Usage& usage = summary.completion.usage;
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}}},
          {"output_tokens", usage.output_tokens},
          {"output_tokens_details", {{"reasoning_tokens", summary.reasoning_tokens}}},
          {"total_tokens", usage.prompt_tokens + usage.output_tokens}};
}

}  // namespace

Events::Events(const Call& call, std::int64_t created_at)
    : response_{{"id", "resp_" + random_id()},     {"object", "response"}, {"created_at", created_at},
                {"status", "in_progress"},         {"background", false},  {"error", nullptr},
                {"incomplete_details", nullptr},   {"model", call.model},  {"output", Json::array()},
                {"previous_response_id", nullptr}, {"store", false},       {"truncation", "disabled"}},
      custom_tools_(call.custom_tools) {
  response_.update(call.echo);
}

void Events::emit(const char* type, Json fields) {
  Json event = {{"type", type}, {"sequence_number", sequence_++}};
  event.update(fields);
  out_.push_back(std::move(event));
}

std::vector<Json> Events::begin() {
  emit("response.created", {{"response", response_}});
  emit("response.in_progress", {{"response", response_}});
  return std::exchange(out_, {});
}

void Events::open(Open kind, Json item) {
  close();
  open_ = kind;
  text_.clear();
  response_["output"].push_back(item);
  emit("response.output_item.added", {{"output_index", index()}, {"item", std::move(item)}});
}

void Events::begin_text(Open kind) {
  if (open_ == kind) return;
  if (kind == Open::kReasoning) {
    open(kind, {{"id", "rs_" + random_id()},
                {"type", "reasoning"},
                {"status", "in_progress"},
                {"summary", Json::array()}});
    emit("response.content_part.added", {{"item_id", item()["id"]},
                                         {"output_index", index()},
                                         {"content_index", 0},
                                         {"part", {{"type", "reasoning_text"}, {"text", ""}}}});
    return;
  }
  open(kind, {{"id", "msg_" + random_id()},
              {"type", "message"},
              {"status", "in_progress"},
              {"role", "assistant"},
              {"content", Json::array()}});
  emit("response.content_part.added",
       {{"item_id", item()["id"]}, {"output_index", index()}, {"content_index", 0}, {"part", text_part("")}});
}

void Events::close_text(const char* event, Json part) {
  Json done = {{"item_id", item()["id"]}, {"output_index", index()}, {"content_index", 0}, {"text", text_}};
  if (open_ == Open::kText) done["logprobs"] = Json::array();
  emit(event, std::move(done));
  emit("response.content_part.done",
       {{"item_id", item()["id"]}, {"output_index", index()}, {"content_index", 0}, {"part", part}});
  item()["content"] = Json::array({std::move(part)});
}

// A custom tool's free text is taken out of the call that the model wrote for it.
void Events::close_call() {
  if (item()["type"] == "custom_tool_call") {
    const Json arguments = Json::parse(text_, nullptr, false);
    const bool whole = arguments.is_object() && arguments.contains("input") && arguments["input"].is_string();
    const std::string input = whole ? arguments["input"].get<std::string>() : text_;
    item()["input"] = input;
    emit("response.custom_tool_call_input.delta",
         {{"item_id", item()["id"]}, {"output_index", index()}, {"delta", input}});
    emit("response.custom_tool_call_input.done",
         {{"item_id", item()["id"]}, {"output_index", index()}, {"input", input}});
    return;
  }
  item()["arguments"] = text_;
  emit(
      "response.function_call_arguments.done",
      {{"item_id", item()["id"]}, {"output_index", index()}, {"name", item()["name"]}, {"arguments", text_}});
}

void Events::close() {
  if (open_ == Open::kNothing) return;
  if (open_ == Open::kReasoning)
    close_text("response.reasoning_text.done", {{"type", "reasoning_text"}, {"text", text_}});
  if (open_ == Open::kText) close_text("response.output_text.done", text_part(text_));
  if (open_ == Open::kCall) close_call();
  item()["status"] = "completed";
  if (item()["type"] == "custom_tool_call") item().erase("status");  // has none
  emit("response.output_item.done", {{"output_index", index()}, {"item", item()}});
  open_ = Open::kNothing;
}

void Events::finish(const dialog::AnswerPart& part) {
  close();
  const bool cut = part.summary->completion.finish == FinishReason::kLength;
  response_["status"] = cut ? "incomplete" : "completed";
  if (cut) response_["incomplete_details"] = {{"reason", "max_output_tokens"}};
  response_["usage"] = usage_of(*part.summary);
  emit(cut ? "response.incomplete" : "response.completed", {{"response", response_}});
}

std::vector<Json> Events::fail(const std::string& code, const std::string& message) {
  response_["status"] = "failed";
  response_["error"] = {{"code", code}, {"message", message}};
  emit("response.failed", {{"response", response_}});
  return std::exchange(out_, {});
}

std::vector<Json> Events::add(const dialog::AnswerPart& part, Json report) {
  if (!report.is_null()) response_["kakeya"] = std::move(report);
  switch (part.kind) {
    case Kind::kReasoning:
    case Kind::kContent: {
      if (part.text.empty()) break;
      const bool reasoning = part.kind == Kind::kReasoning;
      begin_text(reasoning ? Open::kReasoning : Open::kText);
      text_ += part.text;
      Json delta = {
          {"item_id", item()["id"]}, {"output_index", index()}, {"content_index", 0}, {"delta", part.text}};
      if (!reasoning) delta["logprobs"] = Json::array();
      emit(reasoning ? "response.reasoning_text.delta" : "response.output_text.delta", std::move(delta));
      break;
    }
    case Kind::kToolCall:
      if (custom_tools_.count(part.tool_name) != 0) {
        open(Open::kCall, {{"id", "ctc_" + random_id()},
                           {"type", "custom_tool_call"},
                           {"call_id", part.call_id},
                           {"name", part.tool_name},
                           {"input", ""}});
      } else {
        open(Open::kCall, {{"id", "fc_" + random_id()},
                           {"type", "function_call"},
                           {"status", "in_progress"},
                           {"call_id", part.call_id},
                           {"name", part.tool_name},
                           {"arguments", ""}});
      }
      break;
    case Kind::kToolArguments:
      text_ += part.text;
      if (item()["type"] == "function_call") {
        emit("response.function_call_arguments.delta",
             {{"item_id", item()["id"]}, {"output_index", index()}, {"delta", part.text}});
      }
      break;
    case Kind::kFinished:
      finish(part);
      break;
    default:
      break;
  }
  return std::exchange(out_, {});
}

}  // namespace kakeya::serve::responses
