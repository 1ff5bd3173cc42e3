#include "serve/responses/request.h"

#include <fmt/format.h>

#include "serve/failures.h"
#include "serve/responses/items.h"
#include "serve/shared_fields.h"
#include "serve/wire/content.h"

namespace kakeya::serve::responses {
namespace {

using http::ApiError;

constexpr std::size_t kMaxStops = 16;

// What a custom tool's free text is put into: the model writes JSON calls.
Json text_parameters() {
  return {{"type", "object"},
          {"properties", {{"input", {{"type", "string"}}}}},
          {"required", Json::array({"input"})},
          {"additionalProperties", false}};
}

void read_tools(Fields& fields, Call& call, ChatRequest& chat) {
  const Json* list = fields.array("tools");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::string place = fmt::format("tools[{}].", i);
    if (!(*list)[i].is_object()) return fields.fail("tools", fmt::format("[{}]: expected an object.", i));
    Fields tool((*list)[i], place);
    const std::string type = tool.text("type").value_or("");
    if (type.empty()) tool.fail("type", "expected a type.");
    fields.merge(tool);
    // Tools that OpenAI's servers run. Agents name them beside their own whatever the server; the response's
    // `tools` shows which ones count.
    if (type != "function" && type != "custom") continue;
    call.echo_tools.push_back((*list)[i]);
    const std::string name = tool.text("name").value_or("");
    if (name.empty()) tool.fail("name", "expected a name.");
    const Json free_text = text_parameters();
    if (type == "custom") call.custom_tools.insert(name);
    chat.tools_json.push_back(wire::function_tool(name, tool.find("description"),
                                                  type == "custom" ? &free_text : tool.object("parameters")));
    fields.merge(tool);
  }
}

void read_tool_choice(Fields& fields, dialog::DialogRequest& request) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr || *choice == "auto") return;
  if (*choice == "none") {
    request.tool_choice = dialog::ToolChoice::kNone;
  } else if (*choice == "required") {
    request.tool_choice = dialog::ToolChoice::kRequired;
  } else if (choice->is_object() && choice->value("name", Json()).is_string()) {
    request.tool_choice = dialog::ToolChoice::kNamed;
    request.tool_name = (*choice)["name"].get<std::string>();
  } else {
    fields.fail("tool_choice",
                fmt::format("found {}, expected auto, none, required or a named tool.", describe(*choice)));
  }
}

void read_format(Fields& fields, dialog::DialogRequest& request) {
  const Json* text = fields.object("text");
  if (text == nullptr) return;
  Fields in_text(*text, "text.");
  if (const Json* found = in_text.object("format")) {
    Fields format(*found, "text.format.");
    const std::string type = format.text("type").value_or("");
    request.format_name = "text.format";
    if (type == "json_object") {
      request.format = ConstraintSpec{};
    } else if (type == "json_schema") {
      const Json* schema = format.object("schema");
      if (schema == nullptr) format.fail("schema", "expected a JSON schema.");
      if (schema != nullptr) request.format = wire::schema_constraint(*schema);
    } else if (type != "text") {
      format.fail("type", "expected text, json_object or json_schema.");
    }
    in_text.merge(format);
  }
  fields.merge(in_text);
}

void read_reasoning(Fields& fields, ChatRequest& chat) {
  const Json* found = fields.object("reasoning");
  if (found == nullptr) return;
  Fields reasoning(*found, "reasoning.");
  const auto effort = reasoning.text("effort");
  if (effort) chat.enable_thinking = *effort != "none" && *effort != "minimal";
  fields.merge(reasoning);
}

void read_sampling(Fields& fields, dialog::DialogRequest& request) {
  if (const auto limit = fields.integer("max_output_tokens", 1, 1 << 30))
    request.max_tokens = static_cast<int>(*limit);
  if (const auto value = fields.number("temperature", 0, 2))
    request.sampling.temperature = static_cast<float>(*value);
  request.sampling.top_p = read_top_p(fields);
  for (std::string& text : fields.texts("stop", kMaxStops)) {
    if (!text.empty()) request.stop_strings.push_back(std::move(text));
  }
  request.parallel_tools = fields.boolean("parallel_tool_calls", true);
}

// Nothing is kept between requests, so what would need it is refused by name.
void refuse_state(Fields& fields) {
  if (fields.find("previous_response_id") != nullptr) {
    fields.refuse("previous_response_id", "answers are not kept here; send the whole conversation in input.");
  }
  if (fields.find("conversation") != nullptr)
    fields.refuse("conversation", "conversations are not kept here.");
  if (fields.find("prompt") != nullptr) fields.refuse("prompt", "stored prompts are not known here.");
  if (fields.boolean("background", false))
    fields.refuse("background", "answers are not made in the background.");
}

void refuse_unsupported(Fields& fields) {
  constexpr Refused kRefused[] = {
      {"top_logprobs", off::zero, "0: this route has no logprobs"},
      {"truncation", [](const Json& value) { return value == "disabled"; }, "disabled"},
      {"n", off::one, "1"},
  };
  refuse_unless_off(fields, kRefused);
  const Json* include = fields.array("include");
  if (include == nullptr) return;
  for (const Json& item : *include) {
    if (item == "message.output_text.logprobs") fields.refuse("include", dump(item) + " is not made here.");
  }
}

Json echo_of(const Json& body, const Json& tools) {
  const auto value = [&](const char* name, Json fallback) {
    return body.contains(name) && !body[name].is_null() ? body[name] : std::move(fallback);
  };
  Json text = value("text", Json::object());
  if (!text.contains("format")) text["format"] = {{"type", "text"}};
  Json reasoning = value("reasoning", Json::object());
  if (!reasoning.contains("effort")) reasoning["effort"] = nullptr;
  if (!reasoning.contains("summary")) reasoning["summary"] = nullptr;
  return {{"instructions", value("instructions", nullptr)},
          {"max_output_tokens", value("max_output_tokens", nullptr)},
          {"max_tool_calls", value("max_tool_calls", nullptr)},  // of tools of theirs, and none is run
          {"metadata", value("metadata", Json::object())},
          {"parallel_tool_calls", value("parallel_tool_calls", true)},
          {"reasoning", std::move(reasoning)},
          {"temperature", value("temperature", nullptr)},
          {"text", std::move(text)},
          {"tool_choice", value("tool_choice", "auto")},
          {"tools", tools},
          {"top_p", value("top_p", nullptr)}};
}

}  // namespace

std::variant<Call, ApiError> read_request(std::string_view body) {
  Json json;
  if (auto error = parse_body(body, json)) return *error;
  Fields fields(json);
  Call call;
  ChatRequest chat;
  call.model = fields.text("model").value_or("");
  call.stream = fields.boolean("stream", false);
  refuse_state(fields);
  refuse_unsupported(fields);
  if (const Json* own = fields.object("kakeya")) call.switches = *own;
  read_sampling(fields, call.request);
  read_reasoning(fields, chat);
  read_format(fields, call.request);
  read_tools(fields, call, chat);
  read_tool_choice(fields, call.request);
  const std::string instructions = fields.text("instructions").value_or("");
  if (fields.error()) return *fields.error();
  if (!instructions.empty()) chat.messages.push_back({"system", instructions, {}, {}});
  const Json* input = fields.find("input");
  if (input == nullptr) return bad_field("input", "input: expected a string or items.");
  if (auto error = read_input(*input, chat)) return *error;
  call.echo = echo_of(json, call.echo_tools);
  call.request.input = std::move(chat);
  return call;
}

}  // namespace kakeya::serve::responses
