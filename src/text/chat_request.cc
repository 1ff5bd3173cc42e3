// parse_chat_request: JSON from outside to ChatRequest.
#include <kakeya/chat.h>

#include <nlohmann/json.hpp>

#include "formats/json_text.h"
#include "text/chat_json.h"

namespace kakeya {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxRequestBytes = std::size_t{64} << 20;

Error wrong(const std::string& field, const Json& found, const std::string& expected) {
  std::string text = text::python_dumps(found);
  return invalid_argument("read chat request: \"" + field + "\": found " + formats::printable(text) +
                          ", expected " + expected);
}

// Null when the key is absent or null.
const Json* find(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::optional<std::string>> optional_string(const Json& object, const std::string& where,
                                                   const char* key) {
  const Json* value = find(object, key);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return wrong(where + key, *value, "a string or null");
  return std::optional<std::string>(value->get<std::string>());
}

Result<std::optional<bool>> optional_bool(const Json& object, const char* key) {
  const Json* value = find(object, key);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_boolean()) return wrong(key, *value, "true, false or null");
  return std::optional<bool>(value->get<bool>());
}

// {function: {name, arguments}} or {name, arguments}.
Result<ToolCall> read_tool_call(const Json& item, const std::string& where) {
  if (!item.is_object()) return wrong(where, item, "an object");
  const Json* function = find(item, "function");
  if (function != nullptr && !function->is_object())
    return wrong(where + ".function", *function, "an object");
  const Json& call = function != nullptr && !function->empty() ? *function : item;
  ToolCall out;
  KAKEYA_ASSIGN(const auto name, optional_string(call, where + ".", "name"));
  if (!name.has_value()) return invalid_argument("read chat request: \"" + where + ".name\" is missing");
  out.name = *name;
  const auto arguments = call.find("arguments");
  if (arguments == call.end()) {
    return invalid_argument("read chat request: \"" + where + ".arguments\" is missing");
  }
  out.arguments_json = text::python_dumps(*arguments);
  return out;
}

Result<ChatMessage> read_message(const Json& item, const std::string& where) {
  if (!item.is_object()) return wrong(where, item, "an object");
  ChatMessage out;
  KAKEYA_ASSIGN(auto role, optional_string(item, where + ".", "role"));
  if (!role.has_value()) return invalid_argument("read chat request: \"" + where + ".role\" is missing");
  out.role = std::move(*role);
  KAKEYA_ASSIGN(auto content, optional_string(item, where + ".", "content"));
  out.content = content.value_or("");
  KAKEYA_ASSIGN(out.reasoning_content, optional_string(item, where + ".", "reasoning_content"));
  if (const Json* calls = find(item, "tool_calls"); calls != nullptr) {
    if (!calls->is_array()) return wrong(where + ".tool_calls", *calls, "a list or null");
    for (const Json& call : *calls) {
      const std::string name = where + ".tool_calls[" + std::to_string(out.tool_calls.size()) + "]";
      KAKEYA_ASSIGN(ToolCall parsed, read_tool_call(call, name));
      out.tool_calls.push_back(std::move(parsed));
    }
  }
  return out;
}

}  // namespace

Result<ChatRequest> parse_chat_request(std::string_view json_text) {
  if (json_text.size() > kMaxRequestBytes) {
    return invalid_argument("read chat request: " + std::to_string(json_text.size()) +
                            " bytes, expected at most " + std::to_string(kMaxRequestBytes));
  }
  KAKEYA_ASSIGN(const Json root, text::parse_chat_json("chat request", json_text));
  if (!root.is_object()) return wrong("request", root, "an object");
  ChatRequest out;
  const Json* messages = find(root, "messages");
  if (messages == nullptr) return invalid_argument("read chat request: \"messages\" is missing");
  if (!messages->is_array()) return wrong("messages", *messages, "a list");
  for (const Json& item : *messages) {
    KAKEYA_ASSIGN(ChatMessage message,
                  read_message(item, "messages[" + std::to_string(out.messages.size()) + "]"));
    out.messages.push_back(std::move(message));
  }
  if (const Json* tools = find(root, "tools"); tools != nullptr) {
    if (!tools->is_array()) return wrong("tools", *tools, "a list or null");
    for (const Json& tool : *tools) {
      if (!tool.is_object())
        return wrong("tools[" + std::to_string(out.tools_json.size()) + "]", tool, "an object");
      out.tools_json.push_back(text::python_dumps(tool));
    }
  }
  KAKEYA_ASSIGN(const auto prompt, optional_bool(root, "add_generation_prompt"));
  out.add_generation_prompt = prompt.value_or(true);
  KAKEYA_ASSIGN(out.enable_thinking, optional_bool(root, "enable_thinking"));
  KAKEYA_ASSIGN(const auto date, optional_string(root, "", "date_string"));
  out.date_string = date.value_or("");
  return out;
}

}  // namespace kakeya
