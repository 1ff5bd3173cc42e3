#include "serve/openai/messages.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serve/failures.h"

namespace kakeya::serve::openai {
namespace {

void fail(Fields& fields, const std::string& where, const std::string& message) {
  fields.fail(bad_field(where, where + ": " + message));
}

std::string read_part(const Json& part, const std::string& where, Fields& fields) {
  if (part.is_string()) return part.get<std::string>();
  const std::string type = part.is_object() ? text_field(part, "type") : "";
  const Json* text = part.is_object() ? field(part, type == "refusal" ? "refusal" : "text") : nullptr;
  const bool texts = type == "text" || type == "input_text" || type == "output_text" || type == "refusal" ||
                     type == "summary_text" || type.empty();
  if (texts && text != nullptr && text->is_string()) return text->get<std::string>();
  if (texts) {
    fail(fields, where, "expected a part with a type and its text.");
  } else {
    fields.fail(unsupported_field(
        where, fmt::format("{}: found a part of type '{}', expected text: this model reads nothing else.",
                           where, type)));
  }
  return {};
}

bool read_tool_call(const Json& call, const std::string& where, Fields& fields, ChatMessage& out) {
  if (!call.is_object()) {
    fail(fields, where, "expected an object.");
    return false;
  }
  const Json* custom = field(call, "custom");
  if (custom != nullptr && custom->is_object()) {
    out.tool_calls.push_back({text_field(*custom, "name"), custom_arguments(text_field(*custom, "input"))});
    return true;
  }
  const Json* function = field(call, "function");
  const Json& source = function != nullptr && function->is_object() ? *function : call;
  const std::string name = text_field(source, "name");
  if (name.empty()) {
    fail(fields, where + ".function.name", "expected the name of the called function.");
    return false;
  }
  out.tool_calls.push_back({name, arguments_text(field(source, "arguments"))});
  return true;
}

void read_assistant(const Json& message, const std::string& where, Fields& fields, ChatMessage& out) {
  for (const char* name : {"reasoning_content", "reasoning"}) {
    const std::string reasoning = text_field(message, name);
    if (!reasoning.empty() && !out.reasoning_content) out.reasoning_content = reasoning;
  }
  if (const Json* calls = field(message, "tool_calls")) {
    if (!calls->is_array()) return fail(fields, where + ".tool_calls", "expected an array.");
    for (std::size_t i = 0; i < calls->size(); ++i) {
      if (!read_tool_call((*calls)[i], fmt::format("{}.tool_calls[{}]", where, i), fields, out)) return;
    }
  }
  if (const Json* call = field(message, "function_call"); call != nullptr && call->is_object()) {
    read_tool_call(*call, where + ".function_call", fields, out);
  }
  if (out.content.empty()) out.content = text_field(message, "refusal");
}

// Empty = unknown.
std::string role_of(const std::string& role) {
  if (role == "developer") return "system";
  if (role == "function") return "tool";
  return role == "system" || role == "user" || role == "assistant" || role == "tool" ? role : "";
}

void read_message(const Json& message, const std::string& where, Fields& fields,
                  std::vector<ChatMessage>& out) {
  if (!message.is_object()) return fail(fields, where, "expected an object.");
  ChatMessage made;
  const std::string role = text_field(message, "role");
  made.role = role_of(role);
  if (made.role.empty()) {
    return fail(fields, where + ".role",
                fmt::format("found '{}', expected system, developer, user, assistant or tool.", role));
  }
  if (const Json* content = field(message, "content")) {
    made.content = read_content(*content, where + ".content", fields);
  }
  if (made.role == "assistant") read_assistant(message, where, fields, made);
  out.push_back(std::move(made));
}

// The assistant message that a function call belongs to: calls in a row make one message.
ChatMessage& last_assistant(std::vector<ChatMessage>& messages) {
  if (messages.empty() || messages.back().role != "assistant") messages.push_back({"assistant", "", {}, {}});
  return messages.back();
}

void read_item(const Json& item, const std::string& where, Fields& fields, std::vector<ChatMessage>& out) {
  if (!item.is_object()) return fail(fields, where, "expected an object.");
  const std::string type = text_field(item, "type");
  if (type.empty() || type == "message") return read_message(item, where, fields, out);
  if (type == "reasoning" || type == "item_reference") return;
  if (type == "function_call") {
    read_tool_call(item, where, fields, last_assistant(out));
  } else if (type == "custom_tool_call") {
    last_assistant(out).tool_calls.push_back(
        {text_field(item, "name"), custom_arguments(text_field(item, "input"))});
  } else if (type == "function_call_output" || type == "custom_tool_call_output") {
    const Json* output = field(item, "output");
    out.push_back(
        {"tool", output == nullptr ? "" : read_content(*output, where + ".output", fields), {}, {}});
  } else {
    fields.fail(unsupported_field(
        where, fmt::format("{}: found an item of type '{}', expected message, function_call, "
                           "function_call_output, custom_tool_call or custom_tool_call_output.",
                           where, type)));
  }
}

}  // namespace

std::string arguments_text(const Json* arguments) {
  if (arguments == nullptr) return "{}";
  if (!arguments->is_string()) return arguments->dump(-1, ' ', false, Json::error_handler_t::replace);
  const auto& text = arguments->get_ref<const std::string&>();
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return "{}";
  // As a JSON string: the template prints what the model wrote byte by byte, so a cached prefix still fits.
  return arguments->dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string custom_arguments(const std::string& input) {
  const Json arguments = {{"input", input}};
  return arguments.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string read_content(const Json& content, const std::string& where, Fields& fields) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    fail(fields, where, fmt::format("found {}, expected a string or an array of parts.", describe(content)));
    return {};
  }
  std::string joined;
  for (std::size_t i = 0; i < content.size() && fields.ok(); ++i) {
    joined += read_part(content[i], fmt::format("{}[{}]", where, i), fields);
  }
  return joined;
}

void read_messages(const Json& messages, const std::string& where, Fields& fields,
                   std::vector<ChatMessage>& out) {
  if (!messages.is_array() || messages.empty()) return fail(fields, where, "expected at least one message.");
  for (std::size_t i = 0; i < messages.size() && fields.ok(); ++i) {
    read_message(messages[i], fmt::format("{}[{}]", where, i), fields, out);
  }
}

void read_input(const Json& input, const std::string& where, Fields& fields, std::vector<ChatMessage>& out) {
  if (input.is_string()) return out.push_back({"user", input.get<std::string>(), {}, {}});
  if (!input.is_array() || input.empty()) return fail(fields, where, "expected a text or at least one item.");
  for (std::size_t i = 0; i < input.size() && fields.ok(); ++i) {
    read_item(input[i], fmt::format("{}[{}]", where, i), fields, out);
  }
}

}  // namespace kakeya::serve::openai
