// The chat template of Llama-3.1 and Llama-3.2 Instruct, byte for byte, without Meta's built-in tools.
#include <nlohmann/json.hpp>
#include <string_view>

#include "text/chat_families.h"
#include "text/chat_json.h"

namespace kakeya::text {
namespace {

constexpr std::string_view kDate = "26 Jul 2024";  // where the template's publisher fixed it
constexpr std::string_view kLlama3ToolsHead =
    "Given the following functions, please respond with a JSON for a function call with its proper arguments "
    "that "
    "best answers the given prompt.\n\nRespond in the format {\"name\": function name, \"parameters\": "
    "dictionary "
    "of argument name and its value}.Do not use variables.\n\n";

void begin_turn(std::string_view role, PromptText& out) {
  out.own("<|start_header_id|>").given(role).own("<|end_header_id|>\n\n");
}

// Tools stand in the first message behind the system's.
Status append_tools(const ChatRequest& request, const ChatMessage* first, PromptText& out) {
  if (first == nullptr || first->role != "user") {
    return invalid_argument(
        "render chat: the llama3.1 template puts tools into the first message after the system's, expected "
        "one of "
        "the user there");
  }
  begin_turn("user", out);
  out.own(kLlama3ToolsHead);
  for (std::size_t i = 0; i < request.tools_json.size(); ++i) {
    KAKEYA_ASSIGN(const auto tool,
                  parse_chat_json("tools[" + std::to_string(i) + "]", request.tools_json[i]));
    out.given(python_dumps_indented(tool)).own("\n\n");
  }
  out.given(trim(first->content)).own("<|eot_id|>");
  return {};
}

// The template knows one call a turn; several are joined as the models write them.
Status append_joined_calls(const ChatMessage& message, PromptText& out) {
  begin_turn("assistant", out);
  for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
    const ToolCall& call = message.tool_calls[i];
    KAKEYA_ASSIGN(const auto arguments,
                  parse_chat_json("arguments of tool call " + call.name, call.arguments_json));
    out.own(i > 0 ? "; {\"name\": \"" : "{\"name\": \"").given(call.name).own("\", \"parameters\": ");
    out.given(python_dumps(arguments)).own("}");
  }
  out.own("<|eot_id|>");
  return {};
}

}  // namespace

Result<PromptText> render_llama3(const ChatRequest& request, bool tools) {
  if (!tools) KAKEYA_TRY(refuse_tools("llama3", request));
  const auto& messages = request.messages;
  std::size_t next = messages.front().role == "system" ? 1 : 0;
  PromptText out;
  out.own("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n");
  if (!request.tools_json.empty()) out.own("Environment: ipython\n");
  out.own("Cutting Knowledge Date: December 2023\nToday Date: ");
  request.date_string.empty() ? out.own(kDate) : out.given(request.date_string);
  out.own("\n\n");
  if (next == 1) out.given(trim(messages.front().content));
  out.own("<|eot_id|>");
  if (!request.tools_json.empty()) {
    KAKEYA_TRY(append_tools(request, next < messages.size() ? &messages[next] : nullptr, out));
    ++next;
  }
  for (; next < messages.size(); ++next) {
    const ChatMessage& message = messages[next];
    if (!message.tool_calls.empty()) {
      KAKEYA_TRY(append_joined_calls(message, out));
    } else if (message.role == "tool" || message.role == "ipython") {
      begin_turn("ipython", out);
      out.given(python_dumps(message.content)).own("<|eot_id|>");  // a string is iterable, so it is quoted
    } else {
      begin_turn(message.role, out);
      out.given(trim(message.content)).own("<|eot_id|>");
    }
  }
  if (request.add_generation_prompt) out.own("<|start_header_id|>assistant<|end_header_id|>\n\n");
  return out;
}

}  // namespace kakeya::text
