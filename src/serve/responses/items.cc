#include "serve/responses/items.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/wire/content.h"

namespace kakeya::serve::responses {
namespace {

using http::ApiError;

// Items are finer than messages: calls belong to the assistant's message before them, reasoning to the one
// after.
class ItemReader {
 public:
  explicit ItemReader(ChatRequest& chat) : chat_(chat) {}

  std::optional<ApiError> read(const Json& item, const std::string& place) {
    if (!item.is_object()) return bad_field(place, place + ": expected an object.");
    Fields fields(item, place + ".");
    const std::string type = fields.text("type").value_or("message");
    if (fields.error()) return fields.error();
    if (type == "message") return message(fields, item, place);
    if (type == "function_call") return call(fields, "arguments");
    if (type == "custom_tool_call") return call(fields, "input");
    if (type == "function_call_output" || type == "custom_tool_call_output") return output(item, place);
    if (type == "reasoning") return reasoning(item, place);
    if (type == "item_reference") {
      return unsupported_field(
          place, place + ": found an item_reference; answers are not kept here, send the items.");
    }
    return unsupported_field(place + ".type", fmt::format("{}.type: '{}' is not known here.", place, type));
  }

 private:
  std::optional<ApiError> message(Fields& fields, const Json& item, const std::string& place) {
    ChatMessage message;
    message.role = fields.text("role").value_or("");
    if (message.role == "developer") message.role = "system";
    if (message.role != "system" && message.role != "user" && message.role != "assistant") {
      fields.fail("role", "expected user, assistant, system or developer.");
    }
    if (fields.error()) return fields.error();
    if (item.contains("content")) {
      if (auto error = wire::read_text(item["content"], place + ".content",
                                       {"input_text", "output_text", "text", "refusal"}, message.content)) {
        return error;
      }
    }
    if (message.role == "assistant") take_reasoning(message);
    chat_.messages.push_back(std::move(message));
    return {};
  }

  std::optional<ApiError> call(Fields& fields, const char* field) {
    const std::string name = fields.text("name").value_or("");
    std::string text = fields.text(field).value_or("");
    if (name.empty()) fields.fail("name", "expected the name of a tool.");
    if (fields.error()) return fields.error();
    if (std::string_view(field) == "input") text = dump({{"input", text}});
    if (text.empty()) text = "{}";
    if (chat_.messages.empty() || chat_.messages.back().role != "assistant") {
      ChatMessage message;
      message.role = "assistant";
      take_reasoning(message);
      chat_.messages.push_back(std::move(message));
    }
    chat_.messages.back().tool_calls.push_back({name, text});
    return {};
  }

  std::optional<ApiError> output(const Json& item, const std::string& place) {
    ChatMessage message;
    message.role = "tool";
    if (item.contains("output")) {
      if (auto error = wire::read_text(item["output"], place + ".output",
                                       {"input_text", "output_text", "text"}, message.content)) {
        return error;
      }
    }
    chat_.messages.push_back(std::move(message));
    return {};
  }

  std::optional<ApiError> reasoning(const Json& item, const std::string& place) {
    for (const char* field : {"content", "summary"}) {
      if (!reasoning_.empty() || !item.contains(field)) continue;
      if (auto error = wire::read_text(item[field], place + "." + field,
                                       {"reasoning_text", "summary_text", "text"}, reasoning_)) {
        return error;
      }
    }
    return {};
  }

  void take_reasoning(ChatMessage& message) {
    if (!reasoning_.empty()) message.reasoning_content = std::move(reasoning_);
    reasoning_.clear();
  }

  ChatRequest& chat_;
  std::string reasoning_;
};

}  // namespace

std::optional<ApiError> read_input(const Json& input, ChatRequest& chat) {
  if (input.is_string()) {
    chat.messages.push_back({"user", input.get<std::string>(), {}, {}});
    return {};
  }
  if (!input.is_array() || input.empty()) {
    return bad_field("input", fmt::format("input: found {}, expected a string or items.", describe(input)));
  }
  ItemReader reader(chat);
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (auto error = reader.read(input[i], fmt::format("input[{}]", i))) return error;
  }
  return {};
}

}  // namespace kakeya::serve::responses
