#include "serve/anthropic/request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/shared_fields.h"
#include "serve/wire/content.h"

namespace kakeya::serve::anthropic {
namespace {

using http::ApiError;

constexpr std::size_t kMaxStops = 64;

std::string type_of(const Json& block) {
  return block.is_object() && block.contains("type") && block["type"].is_string()
             ? block["type"].get<std::string>()
             : "";
}

// One message of theirs becomes several of ours: results of tools are messages of their own, in order.
class MessageReader {
 public:
  MessageReader(ChatRequest& chat, std::string role, std::string place)
      : chat_(chat), place_(std::move(place)) {
    message_.role = std::move(role);
  }

  std::optional<ApiError> read(const Json& content) {
    if (!content.is_array()) {
      if (auto error = wire::read_text(content, place_, {"text"}, message_.content)) return error;
      has_any_ = true;
    } else {
      for (std::size_t i = 0; i < content.size(); ++i) {
        if (auto error = block(content[i], fmt::format("{}[{}]", place_, i))) return error;
      }
    }
    flush();
    return {};
  }

 private:
  std::optional<ApiError> block(const Json& block, const std::string& place) {
    const std::string type = type_of(block);
    if (type == "tool_result") return tool_result(block, place);
    has_any_ = true;
    if (type == "tool_use") return tool_use(block, place);
    if (type == "thinking") {
      Fields fields(block, place + ".");
      message_.reasoning_content =
          message_.reasoning_content.value_or("") + fields.text("thinking").value_or("");
      return fields.error();
    }
    if (type == "redacted_thinking") return {};  // another model's, and not readable
    return wire::read_text(Json::array({block}), place_, {"text"}, message_.content);
  }

  std::optional<ApiError> tool_use(const Json& block, const std::string& place) {
    Fields fields(block, place + ".");
    const std::string name = fields.text("name").value_or("");
    if (name.empty()) fields.fail("name", "expected the name of a tool.");
    const Json* input = fields.object("input");
    if (fields.error()) return fields.error();
    message_.tool_calls.push_back({name, input == nullptr ? "{}" : dump(*input)});
    return {};
  }

  std::optional<ApiError> tool_result(const Json& block, const std::string& place) {
    flush();
    ChatMessage result;
    result.role = "tool";
    if (block.contains("content")) {
      if (auto error = wire::read_text(block["content"], place + ".content", {"text"}, result.content))
        return error;
    }
    if (block.contains("is_error") && block["is_error"] == true) result.content = "Error: " + result.content;
    chat_.messages.push_back(std::move(result));
    return {};
  }

  void flush() {
    if (!has_any_) return;
    const std::string role = message_.role;
    chat_.messages.push_back(std::move(message_));
    message_ = {};
    message_.role = role;
    has_any_ = false;
  }

  ChatRequest& chat_;
  std::string place_;
  ChatMessage message_;
  bool has_any_ = false;
};

void read_tools(Fields& fields, ChatRequest& chat) {
  const Json* list = fields.array("tools");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::string place = fmt::format("tools[{}].", i);
    if (!(*list)[i].is_object()) return fields.fail("tools", fmt::format("[{}]: expected an object.", i));
    Fields tool((*list)[i], place);
    const std::string type = tool.text("type").value_or("custom");
    const std::string name = tool.text("name").value_or("");
    if (type != "custom")
      tool.refuse("type", fmt::format("'{}' runs on Anthropic's servers, not here.", type));
    if (name.empty()) tool.fail("name", "expected a name.");
    chat.tools_json.push_back(
        wire::function_tool(name, tool.find("description"), tool.object("input_schema")));
    fields.merge(tool);
  }
}

void read_tool_choice(Fields& fields, dialog::DialogRequest& request) {
  const Json* found = fields.object("tool_choice");
  if (found == nullptr) return;
  Fields choice(*found, "tool_choice.");
  const std::string type = choice.text("type").value_or("");
  if (type == "any") {
    request.tool_choice = dialog::ToolChoice::kRequired;
  } else if (type == "none") {
    request.tool_choice = dialog::ToolChoice::kNone;
  } else if (type == "tool") {
    request.tool_choice = dialog::ToolChoice::kNamed;
    request.tool_name = choice.text("name").value_or("");
  } else if (type != "auto") {
    choice.fail("type", "expected auto, any, tool or none.");
  }
  request.parallel_tools = !choice.boolean("disable_parallel_tool_use", false);
  fields.merge(choice);
}

// Reasoning is off unless it is asked for, as their API has it. A budget of tokens is not kept.
void read_thinking(Fields& fields, ChatRequest& chat) {
  chat.enable_thinking = false;
  const Json* found = fields.object("thinking");
  if (found == nullptr) return;
  Fields thinking(*found, "thinking.");
  const std::string type = thinking.text("type").value_or("");
  if (type != "enabled" && type != "disabled" && type != "adaptive") {
    thinking.fail("type", "expected enabled, disabled or adaptive.");
  }
  chat.enable_thinking = type != "disabled";
  fields.merge(thinking);
}

void read_sampling(Fields& fields, dialog::DialogRequest& request, bool counting) {
  const auto max_tokens = fields.integer("max_tokens", 1, 1 << 30);
  if (!max_tokens && !counting) fields.fail("max_tokens", "expected a whole number of at least 1.");
  if (max_tokens) request.max_tokens = static_cast<int>(*max_tokens);
  if (const auto value = fields.number("temperature", 0, 2))
    request.sampling.temperature = static_cast<float>(*value);
  request.sampling.top_p = read_top_p(fields);
  if (const auto value = fields.integer("top_k", 0, 1 << 30))
    request.sampling.top_k = static_cast<int>(*value);
  for (std::string& text : fields.texts("stop_sequences", kMaxStops)) {
    if (!text.empty()) request.stop_strings.push_back(std::move(text));
  }
}

void read_schema(Fields& fields, const char* name, dialog::DialogRequest& request) {
  const Json* found = fields.object(name);
  if (found == nullptr) return;
  Fields format(*found, fields.name_of(name) + ".");
  if (format.text("type") != "json_schema") format.fail("type", "expected json_schema.");
  const Json* schema = format.object("schema");
  if (schema == nullptr) format.fail("schema", "expected a JSON schema.");
  if (schema != nullptr) request.format = wire::schema_constraint(*schema);
  request.format_name = fields.name_of(name);
  fields.merge(format);
}

// output_config.format, and output_format as it was called before.
void read_format(Fields& fields, dialog::DialogRequest& request) {
  read_schema(fields, "output_format", request);
  const Json* found = fields.object("output_config");
  if (found == nullptr) return;
  Fields config(*found, "output_config.");
  read_schema(config, "format", request);
  fields.merge(config);
}

void refuse_unsupported(Fields& fields) {
  constexpr Refused kRefused[] = {{"mcp_servers", off::nothing, "none"}, {"container", off::never, "none"}};
  refuse_unless_off(fields, kRefused);
}

std::optional<ApiError> read_turns(Fields& fields, ChatRequest& chat) {
  if (const Json* system = fields.find("system")) {
    ChatMessage message;
    message.role = "system";
    if (auto error = wire::read_text(*system, "system", {"text"}, message.content)) return error;
    if (!message.content.empty()) chat.messages.push_back(std::move(message));
  }
  const Json* list = fields.array("messages");
  if (fields.error()) return fields.error();
  if (list == nullptr || list->empty())
    return bad_field("messages", "messages: expected at least one message.");
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string place = fmt::format("messages[{}]", i);
    if (!(*list)[i].is_object()) return bad_field(place, place + ": expected an object.");
    Fields turn((*list)[i], place + ".");
    const std::string role = turn.text("role").value_or("");
    if (role != "user" && role != "assistant" && role != "system")
      turn.fail("role", "expected user or assistant.");
    if (turn.error()) return turn.error();
    const Json* content = turn.find("content");
    if (content == nullptr)
      return bad_field(place + ".content", place + ".content: expected text or blocks.");
    if (auto error = MessageReader(chat, role, place + ".content").read(*content)) return error;
  }
  return {};
}

}  // namespace

std::variant<Call, ApiError> read_messages(std::string_view body, bool counting) {
  Json json;
  if (auto error = parse_body(body, json)) return *error;
  Fields fields(json);
  Call call;
  ChatRequest chat;
  call.model = fields.text("model").value_or("");
  if (call.model.empty()) fields.fail("model", "expected the name of a model.");
  call.stream = fields.boolean("stream", false);
  refuse_unsupported(fields);
  if (const Json* own = fields.object("kakeya")) call.switches = *own;
  read_sampling(fields, call.request, counting);
  read_format(fields, call.request);
  read_thinking(fields, chat);
  read_tools(fields, chat);
  read_tool_choice(fields, call.request);
  if (auto error = read_turns(fields, chat)) return *error;
  call.request.input = std::move(chat);
  return call;
}

}  // namespace kakeya::serve::anthropic
