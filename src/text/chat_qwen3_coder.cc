// The chat template that Qwen3-Coder models ship (Qwen3-Coder-30B-A3B-Instruct, since August 2025), byte for
// byte. Models of July 2025 carry another wording of the same form and get this one.
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "text/chat_families.h"
#include "text/chat_json.h"

namespace kakeya::text {
namespace {

using Json = nlohmann::ordered_json;
using Names = std::set<std::string>;

constexpr std::string_view kDefaultSystem =
    "You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks.";
constexpr std::string_view kToolsHead =
    "\n\n# Tools\n\nYou have access to the following functions:\n\n<tools>";
constexpr std::string_view kToolsTail =
    "\n</tools>\n\nIf you choose to call a function ONLY reply in the following format with NO suffix:\n\n"
    "<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n"
    "<parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\n"
    "multiple lines\n</parameter>\n</function>\n</tool_call>\n\n<IMPORTANT>\nReminder:\n"
    "- Function calls MUST follow the specified format: an inner <function=...></function> block must be "
    "nested "
    "within <tool_call></tool_call> XML tags\n"
    "- Required parameters MUST be specified\n"
    "- You may provide optional reasoning for your function call in natural language BEFORE the function "
    "call, "
    "but NOT after\n"
    "- If there is no function call available, answer the question like normal with your current knowledge "
    "and "
    "do not tell the user about function calls\n</IMPORTANT>";

// Containers as JSON, all else as Python's str.
std::string printed(const Json& value) {
  return value.is_structured() ? python_dumps(value) : python_str(value);
}

const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

void append_element(std::string_view name, std::string_view text, PromptText& out) {
  out.own("\n<").given(name).own(">").given(text).own("</").given(name).own(">");
}

void append_others(const Json& object, const Names& handled, PromptText& out) {
  if (!object.is_object()) return;
  for (const auto& item : object.items()) {
    if (handled.count(item.key()) == 0) append_element(item.key(), printed(item.value()), out);
  }
}

void append_description(const Json& object, PromptText& out) {
  if (const Json* text = member(object, "description")) {
    append_element("description", trim(python_str(*text)), out);
  }
}

void append_parameters(const Json& parameters, PromptText& out) {
  out.own("\n<parameters>");
  const Json* properties = parameters.is_object() ? member(parameters, "properties") : nullptr;
  if (properties != nullptr && properties->is_object()) {
    for (const auto& item : properties->items()) {
      const Json& fields = item.value();
      out.own("\n<parameter>");
      append_element("name", item.key(), out);
      if (fields.is_object()) {
        if (const Json* type = member(fields, "type")) append_element("type", python_str(*type), out);
        append_description(fields, out);
      }
      append_others(fields, {"name", "type", "description"}, out);
      out.own("\n</parameter>");
    }
  }
  append_others(parameters, {"type", "properties"}, out);
  out.own("\n</parameters>");
}

Status append_tools(const ChatRequest& request, PromptText& out) {
  out.own(kToolsHead);
  for (std::size_t i = 0; i < request.tools_json.size(); ++i) {
    const std::string where = "tools[" + std::to_string(i) + "]";
    KAKEYA_ASSIGN(const Json given, parse_chat_json(where, request.tools_json[i]));
    const Json* inner = given.is_object() ? member(given, "function") : nullptr;
    const Json& tool = inner != nullptr ? *inner : given;
    const Json* name = tool.is_object() ? member(tool, "name") : nullptr;
    if (name == nullptr)
      return invalid_argument("render chat: " + where + ": expected a function with a name");
    out.own("\n<function>");
    append_element("name", python_str(*name), out);
    append_description(tool, out);
    const Json* parameters = member(tool, "parameters");
    append_parameters(parameters != nullptr ? *parameters : Json(), out);
    append_others(tool, {"type", "name", "description", "parameters"}, out);
    out.own("\n</function>");
  }
  out.own(kToolsTail);
  return {};
}

// The template takes arguments as an object only; a string that holds one means the same.
Result<Json> arguments_of(const ToolCall& call) {
  const std::string what = "arguments of tool call " + call.name;
  KAKEYA_ASSIGN(Json arguments, parse_chat_json(what, call.arguments_json));
  if (arguments.is_string()) {
    KAKEYA_ASSIGN(arguments, parse_chat_json(what, arguments.get<std::string>()));
  }
  if (!arguments.is_object()) return invalid_argument("read " + what + ": expected a JSON object");
  return arguments;
}

Status append_calls(const ChatMessage& message, PromptText& out) {
  out.own("<|im_start|>assistant");
  const std::string_view content = trim(message.content);
  if (!content.empty()) out.own("\n").given(content).own("\n");
  for (const ToolCall& call : message.tool_calls) {
    KAKEYA_ASSIGN(const Json arguments, arguments_of(call));
    out.own("\n<tool_call>\n<function=").given(call.name).own(">\n");
    for (const auto& item : arguments.items()) {
      out.own("<parameter=")
          .given(item.key())
          .own(">\n")
          .given(printed(item.value()))
          .own("\n</parameter>\n");
    }
    out.own("</function>\n</tool_call>");
  }
  out.own("<|im_end|>\n");
  return {};
}

}  // namespace

Result<PromptText> render_qwen3_coder(const ChatRequest& request) {
  const auto& messages = request.messages;
  const bool has_system = messages.front().role == "system", has_tools = !request.tools_json.empty();
  PromptText out;
  if (has_system || has_tools) {
    out.own("<|im_start|>system\n");
    has_system ? out.given(messages.front().content) : out.own(kDefaultSystem);
    if (has_tools) KAKEYA_TRY(append_tools(request, out));
    out.own("<|im_end|>\n");
  }
  const std::size_t first = has_system ? 1 : 0;
  for (std::size_t i = first; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == "assistant" && !message.tool_calls.empty()) {
      KAKEYA_TRY(append_calls(message, out));
    } else if (message.role == "tool") {
      if (i > first && messages[i - 1].role != "tool") out.own("<|im_start|>user\n");
      out.own("<tool_response>\n").given(message.content).own("\n</tool_response>\n");
      if (i + 1 == messages.size() || messages[i + 1].role != "tool") out.own("<|im_end|>\n");
    } else {
      out.own("<|im_start|>").given(message.role).own("\n").given(message.content).own("<|im_end|>\n");
    }
  }
  if (request.add_generation_prompt) out.own("<|im_start|>assistant\n");
  return out;
}

}  // namespace kakeya::text
