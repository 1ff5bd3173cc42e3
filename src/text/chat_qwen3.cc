// The chat templates that Qwen3 models ship, byte for byte: of Qwen3 itself, Qwen3-Thinking-2507, and one
// without a word of thinking.
#include <nlohmann/json.hpp>
#include <string_view>

#include "text/chat_families.h"
#include "text/chat_json.h"

namespace kakeya::text {
namespace {

constexpr std::string_view kThinkEnd = "</think>";
constexpr std::size_t kNoQuery = static_cast<std::size_t>(-1);  // no message comes after it
constexpr std::string_view kToolsHead =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kToolsTail =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n";

std::string_view strip_left(std::string_view text) {
  const std::size_t at = text.find_first_not_of('\n');
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}
std::string_view strip_right(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);  // npos + 1 is 0
}

Status append_tools(const ChatRequest& request, PromptText& out) {
  const ChatMessage& first = request.messages.front();
  out.own("<|im_start|>system\n");
  if (first.role == "system") out.given(first.content).own("\n\n");
  out.own(kToolsHead);
  for (std::size_t i = 0; i < request.tools_json.size(); ++i) {
    KAKEYA_ASSIGN(const auto tool,
                  parse_chat_json("tools[" + std::to_string(i) + "]", request.tools_json[i]));
    out.own("\n").given(python_dumps(tool));
  }
  out.own(kToolsTail);
  return {};
}

// The last message that is a real question: tool responses sent as user turns do not count. Without one, the
// last message.
std::size_t last_query(const std::vector<ChatMessage>& messages) {
  for (std::size_t i = messages.size(); i-- > 0;) {
    const std::string& text = messages[i].content;
    const bool response = text.starts_with("<tool_response>") && text.ends_with("</tool_response>");
    if (messages[i].role == "user" && !response) return i;
  }
  return messages.size() - 1;
}

Status append_tool_calls(const ChatMessage& message, std::string_view content, PromptText& out) {
  bool first = true;
  for (const ToolCall& call : message.tool_calls) {
    if (!first || !content.empty()) out.own("\n");
    first = false;
    KAKEYA_ASSIGN(const auto arguments,
                  parse_chat_json("arguments of tool call " + call.name, call.arguments_json));
    out.own("<tool_call>\n{\"name\": \"").given(call.name).own("\", \"arguments\": ");
    out.given(arguments.is_string() ? arguments.get<std::string>() : python_dumps(arguments));
    out.own("}\n</tool_call>");
  }
  return {};
}

Status append_assistant(const std::vector<ChatMessage>& messages, std::size_t index, std::size_t query,
                        PromptText& out) {
  const ChatMessage& message = messages[index];
  std::string_view content = message.content, reasoning;
  const std::size_t end = query == kNoQuery ? std::string_view::npos : content.rfind(kThinkEnd);
  if (message.reasoning_content.has_value()) {
    reasoning = *message.reasoning_content;
  } else if (end != std::string_view::npos) {
    reasoning = strip_right(content.substr(0, content.find(kThinkEnd)));
    const std::size_t begin = reasoning.rfind("<think>");
    if (begin != std::string_view::npos) reasoning.remove_prefix(begin + 7);
    reasoning = strip_left(reasoning);
    content = strip_left(content.substr(end + kThinkEnd.size()));
  }
  out.own("<|im_start|>assistant\n");
  const bool last = index + 1 == messages.size();
  if (index > query && (last || !reasoning.empty())) {
    out.own("<think>\n").given(strip_right(strip_left(reasoning)));
    out.own("\n</think>\n\n").given(strip_left(content));
  } else {
    out.given(content);
  }
  KAKEYA_TRY(append_tool_calls(message, content, out));
  out.own("<|im_end|>\n");
  return {};
}

void append_tool_response(const std::vector<ChatMessage>& messages, std::size_t index, PromptText& out) {
  if (index == 0 || messages[index - 1].role != "tool") out.own("<|im_start|>user");
  out.own("\n<tool_response>\n").given(messages[index].content).own("\n</tool_response>");
  if (index + 1 == messages.size() || messages[index + 1].role != "tool") out.own("<|im_end|>\n");
}

}  // namespace

Result<PromptText> render_qwen3(const ChatRequest& request, Qwen3Thinking thinking) {
  const auto& messages = request.messages;
  PromptText out;
  if (!request.tools_json.empty()) {
    KAKEYA_TRY(append_tools(request, out));
  } else if (messages.front().role == "system") {
    out.own("<|im_start|>system\n").given(messages.front().content).own("<|im_end|>\n");
  }
  const std::size_t query = thinking == Qwen3Thinking::kNever ? kNoQuery : last_query(messages);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == "user" || (message.role == "system" && i > 0)) {
      out.own("<|im_start|>").own(message.role).own("\n").given(message.content).own("<|im_end|>\n");
    } else if (message.role == "assistant") {
      KAKEYA_TRY(append_assistant(messages, i, query, out));
    } else if (message.role == "tool") {
      append_tool_response(messages, i, out);
    }  // the template passes over other roles
  }
  if (request.add_generation_prompt) {
    out.own("<|im_start|>assistant\n");
    if (thinking == Qwen3Thinking::kAlways) out.own("<think>\n");
    const bool off = thinking == Qwen3Thinking::kSwitch && request.enable_thinking == false;
    if (off) out.own("<think>\n\n</think>\n\n");
  }
  return out;
}

}  // namespace kakeya::text
