// Messages in, prompt text out: what a chat template is rendered from.
#pragma once
#include <kakeya/result.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya {

struct ToolCall {
  std::string name;
  std::string arguments_json;  // a JSON object, or a JSON string that the template prints verbatim
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool", ...
  std::string content;
  std::optional<std::string> reasoning_content;
  std::vector<ToolCall> tool_calls;
};

struct ChatRequest {
  std::vector<ChatMessage> messages;
  std::vector<std::string> tools_json;  // each tool's JSON object, key order kept
  bool add_generation_prompt = true;
  std::optional<bool> enable_thinking;  // not set = not passed to the template
  // Llama-3's "Today Date", as "26 Jul 2024". Empty: the day of the call where the model's template asks the
  // clock (Llama-3.2), else the date that the template names.
  std::string date_string;
};

// Parses {messages, tools, add_generation_prompt, enable_thinking, date_string}. Errors: kInvalidArgument
// with the field.
Result<ChatRequest> parse_chat_request(std::string_view json_text);

}  // namespace kakeya
