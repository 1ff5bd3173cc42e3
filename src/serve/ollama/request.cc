#include "serve/ollama/request.h"

#include <fmt/format.h>

#include "serve/wire/fields.h"

namespace kakeya::serve::ollama {
namespace {

using http::ApiError;
using wire::bad_request;
using wire::Fields;
using wire::Json;

void read_options(const Json& body, Fields& fields, dialog::DialogRequest& request) {
  const Json* found = Fields(body).find("options");
  if (found == nullptr) return;
  if (!found->is_object()) return fields.fail("options", "expected an object");
  Fields options(*found, "options.");
  std::optional<int> limit, last_n;
  options.read("num_predict", limit, -2);  // -1 and -2: no limit of its own
  if (limit && *limit >= 0) request.max_tokens = limit;
  options.read("temperature", request.sampling.temperature, 0, 100);
  options.read("top_p", request.sampling.top_p, 0, 1);
  options.read("min_p", request.sampling.min_p, 0, 1);
  options.read("top_k", request.sampling.top_k, 0);
  options.read("seed", request.sampling.seed);
  options.read("stop", request.stop_strings);
  options.read("repeat_penalty", request.sampling.repetition_penalty, 0.01f, 100);
  options.read("repeat_last_n", last_n, -1);
  if (last_n && *last_n > 0) request.rules.repeat_last_n = static_cast<std::size_t>(*last_n);
  if (last_n && *last_n == 0) request.sampling.repetition_penalty = 1.0f;  // looks at nothing
  options.read("presence_penalty", request.rules.presence_penalty, -2, 2);
  options.read("frequency_penalty", request.rules.frequency_penalty, -2, 2);
  if (options.error()) fields.fail(*options.error());
}

void read_format(Fields& fields, dialog::DialogRequest& request) {
  const Json* format = fields.find("format");
  if (format == nullptr || *format == "") return;
  ConstraintSpec spec;
  if (format->is_object()) {
    spec.kind = ConstraintKind::kJsonSchema;
    spec.text = wire::dump(*format);
  } else if (*format != "json") {
    return fields.fail("format", "expected \"json\" or a JSON schema");
  }
  request.format = std::move(spec);
}

// true, false, or an effort as a word.
void read_think(Fields& fields, ChatRequest& chat) {
  const Json* think = fields.find("think");
  if (think == nullptr) return;
  if (think->is_boolean()) {
    chat.enable_thinking = think->get<bool>();
  } else if (think->is_string()) {
    chat.enable_thinking = *think != "none";
  } else {
    fields.fail("think", "expected true, false or an effort");
  }
}

void refuse_images(const Json& object, const std::string& place, Fields& fields) {
  const Json* images = Fields(object).find("images");
  if (images != nullptr && !(images->is_array() && images->empty())) {
    fields.fail(place + "images", "this model takes text alone");
  }
}

std::optional<ApiError> read_calls(const Json& list, const std::string& place, ChatMessage& message) {
  if (!list.is_array()) return bad_request(place, place + ": expected an array");
  for (const Json& item : list) {
    const Json* function = item.is_object() ? Fields(item).find("function") : nullptr;
    ToolCall call;
    if (function != nullptr && function->is_object()) {
      Fields(*function).read("name", call.name);
      const Json* arguments = Fields(*function).find("arguments");
      // Objects as Ollama has them; strings as clients of OpenAI's API write them.
      call.arguments_json = arguments == nullptr     ? "{}"
                            : arguments->is_string() ? arguments->get<std::string>()
                                                     : wire::dump(*arguments);
    }
    if (call.name.empty()) return bad_request(place, place + ": expected function.name in every call");
    message.tool_calls.push_back(std::move(call));
  }
  return {};
}

std::optional<ApiError> read_message(const Json& item, const std::string& place, ChatRequest& chat) {
  if (!item.is_object()) return bad_request(place, place + ": expected an object");
  Fields fields(item, place + ".");
  ChatMessage message;
  fields.read("role", message.role);
  if (message.role == "developer") message.role = "system";
  std::string thinking;
  fields.read("thinking", thinking);
  if (!thinking.empty()) message.reasoning_content = thinking;
  refuse_images(item, "", fields);
  if (const Json* content = fields.find("content")) {
    if (auto error = wire::read_text(*content, place + ".content", {"text"}, message.content)) return error;
  }
  if (const Json* calls = fields.find("tool_calls")) {
    if (auto error = read_calls(*calls, place + ".tool_calls", message)) return error;
  }
  if (fields.error()) return fields.error();
  chat.messages.push_back(std::move(message));
  return {};
}

// Types "function" and Raycast's "local_tool". Its "remote_tool" has only a name and is run elsewhere: left out.
std::optional<ApiError> read_tools(const Json& list, ChatRequest& chat) {
  if (!list.is_array()) return bad_request("tools", "tools: expected an array");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json* function = list[i].is_object() ? Fields(list[i]).find("function") : nullptr;
    if (function == nullptr && list[i].is_object() && list[i].value("type", "") == "remote_tool") continue;
    std::string name;
    if (function != nullptr && function->is_object()) Fields(*function).read("name", name);
    if (name.empty()) {
      const std::string place = fmt::format("tools[{}].function.name", i);
      return bad_request(place, place + ": expected a name");
    }
    const Fields fields(*function);
    chat.tools_json.push_back(
        wire::function_tool(name, fields.find("description"), fields.find("parameters")));
  }
  return {};
}

void read_common(const Json& body, Fields& fields, Call& call) {
  fields.read("model", call.model);
  if (call.model.empty()) fields.fail("model", "expected the name of a model");
  fields.read("stream", call.stream);
  read_options(body, fields, call.request);
  read_format(fields, call.request);
}

}  // namespace

bool same_model(std::string_view asked, std::string_view served) {
  constexpr std::string_view kTag = ":latest";
  const auto bare = [&](std::string_view name) {
    return name.ends_with(kTag) ? name.substr(0, name.size() - kTag.size()) : name;
  };
  return bare(asked) == bare(served);
}

std::variant<Call, ApiError> read_chat(std::string_view body) {
  Json json;
  if (auto error = wire::parse_object(body, json)) return *error;
  Fields fields(json);
  Call call;
  ChatRequest chat;
  read_common(json, fields, call);
  read_think(fields, chat);
  const Json* messages = fields.find("messages");
  if (messages != nullptr && !messages->is_array()) fields.fail("messages", "expected an array");
  if (fields.error()) return *fields.error();
  for (std::size_t i = 0; messages != nullptr && i < messages->size(); ++i) {
    if (auto error = read_message((*messages)[i], fmt::format("messages[{}]", i), chat)) return *error;
  }
  if (const Json* tools = fields.find("tools")) {
    if (auto error = read_tools(*tools, chat)) return *error;
  }
  call.load_only = chat.messages.empty();
  call.request.input = std::move(chat);
  return call;
}

std::variant<Call, ApiError> read_generate(std::string_view body) {
  Json json;
  if (auto error = wire::parse_object(body, json)) return *error;
  Fields fields(json);
  Call call;
  call.generate = true;
  ChatRequest chat;
  Call::Raw raw;
  std::string system, form;
  bool is_raw = false;
  read_common(json, fields, call);
  read_think(fields, chat);
  refuse_images(json, "", fields);
  fields.read("prompt", raw.prompt);
  fields.read("suffix", raw.suffix);
  fields.read("system", system);
  fields.read("template", form);
  fields.read("raw", is_raw);
  if (!form.empty()) fields.fail("template", "the model's own template is used; use raw for another");
  if (fields.error()) return *fields.error();
  call.load_only = raw.prompt.empty() && raw.suffix.empty();
  if (is_raw || !raw.suffix.empty()) {
    raw.infill = !raw.suffix.empty();
    call.raw = std::move(raw);
    call.request.parse_output = false;
    return call;
  }
  if (!system.empty()) chat.messages.push_back({"system", system, {}, {}});
  chat.messages.push_back({"user", raw.prompt, {}, {}});
  call.request.input = std::move(chat);
  return call;
}

}  // namespace kakeya::serve::ollama
