#include "serve/ollama/request.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/shared_fields.h"
#include "serve/wire/content.h"

namespace kakeya::serve::ollama {
namespace {

using http::ApiError;

constexpr std::size_t kMaxStops = 64;

std::optional<float> number(Fields& fields, const char* name, double low, double high) {
  const auto value = fields.number(name, low, high);
  return value ? std::optional(static_cast<float>(*value)) : std::nullopt;
}

void read_options(Fields& fields, dialog::DialogRequest& request) {
  const Json* found = fields.object("options");
  if (found == nullptr) return;
  Fields options(*found, "options.");
  const auto limit = options.integer("num_predict", -2, 1 << 30);  // -1 and -2: no limit of its own
  if (limit && *limit >= 0) request.max_tokens = static_cast<int>(*limit);
  request.sampling.temperature = number(options, "temperature", 0, 100);
  request.sampling.top_p = read_top_p(options);
  request.sampling.min_p = number(options, "min_p", 0, 1);
  request.sampling.repetition_penalty = number(options, "repeat_penalty", 0.01, 100);
  if (const auto top_k = options.integer("top_k", 0, 1 << 30))
    request.sampling.top_k = static_cast<int>(*top_k);
  const auto seed = options.integer("seed", std::numeric_limits<std::int64_t>::min());
  if (seed) request.sampling.seed = static_cast<std::uint64_t>(*seed);
  const auto last_n = options.integer("repeat_last_n", -1, 1 << 30);
  if (last_n && *last_n > 0) request.rules.repeat_last_n = static_cast<std::size_t>(*last_n);
  if (last_n && *last_n == 0) request.sampling.repetition_penalty = 1.0f;  // looks at nothing
  request.rules.presence_penalty = number(options, "presence_penalty", -2, 2).value_or(0);
  request.rules.frequency_penalty = number(options, "frequency_penalty", -2, 2).value_or(0);
  for (std::string& text : options.texts("stop", kMaxStops)) {
    if (!text.empty()) request.stop_strings.push_back(std::move(text));
  }
  constexpr Refused kRefused[] = {
      {"mirostat", off::zero, "0"}, {"typical_p", off::one, "1"}, {"tfs_z", off::one, "1"}};
  refuse_unless_off(options, kRefused);
  fields.merge(options);
}

void read_format(Fields& fields, dialog::DialogRequest& request) {
  const Json* format = fields.find("format");
  if (format == nullptr || *format == "") return;
  request.format_name = "format";
  if (format->is_object()) {
    request.format = wire::schema_constraint(*format);
  } else if (*format == "json") {
    request.format = ConstraintSpec{};
  } else {
    fields.fail("format", fmt::format("found {}, expected \"json\" or a JSON schema.", describe(*format)));
  }
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
    fields.fail("think", fmt::format("found {}, expected true, false or an effort.", describe(*think)));
  }
}

void refuse_images(Fields& fields) {
  const Json* images = fields.array("images");
  if (images != nullptr && !images->empty()) fields.refuse("images", "this model takes text alone.");
}

void read_calls(Fields& fields, ChatMessage& message) {
  const Json* list = fields.array("tool_calls");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const Json& item = (*list)[i];
    ToolCall call;
    if (item.is_object() && item.contains("function") && item["function"].is_object()) {
      Fields function(item["function"], fields.name_of("tool_calls") + fmt::format("[{}].function.", i));
      call.name = function.text("name").value_or("");
      const Json* arguments = function.find("arguments");
      // Objects as Ollama has them; strings as clients of OpenAI's API write them.
      call.arguments_json = arguments == nullptr     ? "{}"
                            : arguments->is_string() ? arguments->get<std::string>()
                                                     : dump(*arguments);
      fields.merge(function);
    }
    if (call.name.empty()) fields.fail("tool_calls", fmt::format("[{}]: expected function.name.", i));
    message.tool_calls.push_back(std::move(call));
  }
}

std::optional<ApiError> read_message(const Json& item, const std::string& place, ChatRequest& chat) {
  if (!item.is_object()) return bad_field(place, place + ": expected an object.");
  Fields fields(item, place + ".");
  ChatMessage message;
  message.role = fields.text("role").value_or("");
  if (message.role == "developer") message.role = "system";
  message.reasoning_content = fields.text("thinking");
  if (message.reasoning_content == "") message.reasoning_content.reset();
  refuse_images(fields);
  read_calls(fields, message);
  if (fields.error()) return fields.error();
  if (const Json* content = fields.find("content")) {
    if (auto error = wire::read_text(*content, place + ".content", {"text"}, message.content)) return error;
  }
  chat.messages.push_back(std::move(message));
  return {};
}

// Types "function" and Raycast's "local_tool". Its "remote_tool" has only a name and is run elsewhere: left
// out.
void read_tools(Fields& fields, ChatRequest& chat) {
  const Json* list = fields.array("tools");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const Json& tool = (*list)[i];
    const bool nested = tool.is_object() && tool.contains("function") && tool["function"].is_object();
    if (!nested && tool.is_object() && tool.contains("type") && tool["type"] == "remote_tool") continue;
    if (!nested) return fields.fail("tools", fmt::format("[{}]: expected an object with a function.", i));
    Fields function(tool["function"], fmt::format("tools[{}].function.", i));
    const std::string name = function.text("name").value_or("");
    if (name.empty()) function.fail("name", "expected a name.");
    const Json* parameters = function.find("parameters");
    if (parameters != nullptr && !parameters->is_object() && !parameters->empty()) {
      function.fail("parameters", fmt::format("found {}, expected an object.", describe(*parameters)));
    }
    chat.tools_json.push_back(
        wire::function_tool(name, function.find("description"), function.find("parameters")));
    fields.merge(function);
  }
}

void read_common(Fields& fields, Call& call) {
  call.model = fields.text("model").value_or("");
  if (call.model.empty()) fields.fail("model", "expected the name of a model.");
  call.stream = fields.boolean("stream", true);
  constexpr Refused kRefused[] = {{"logprobs", off::no, "false"}, {"top_logprobs", off::zero, "0"}};
  refuse_unless_off(fields, kRefused);
  if (const Json* own = fields.object("kakeya")) call.switches = *own;
  read_options(fields, call.request);
  read_format(fields, call.request);
}

}  // namespace

std::variant<Call, ApiError> read_chat(std::string_view body) {
  Json json;
  if (auto error = parse_body(body, json)) return *error;
  Fields fields(json);
  Call call;
  ChatRequest chat;
  read_common(fields, call);
  read_think(fields, chat);
  read_tools(fields, chat);
  const Json* messages = fields.array("messages");
  if (fields.error()) return *fields.error();
  for (std::size_t i = 0; messages != nullptr && i < messages->size(); ++i) {
    if (auto error = read_message((*messages)[i], fmt::format("messages[{}]", i), chat)) return *error;
  }
  call.load_only = chat.messages.empty();
  call.request.input = std::move(chat);
  return call;
}

std::variant<Call, ApiError> read_generate(std::string_view body) {
  Json json;
  if (auto error = parse_body(body, json)) return *error;
  Fields fields(json);
  Call call;
  call.generate = true;
  ChatRequest chat;
  Call::Raw raw;
  read_common(fields, call);
  read_think(fields, chat);
  refuse_images(fields);
  raw.prompt = fields.text("prompt").value_or("");
  raw.suffix = fields.text("suffix").value_or("");
  const std::string system = fields.text("system").value_or("");
  const bool is_raw = fields.boolean("raw", false);
  if (!fields.text("template").value_or("").empty()) {
    fields.refuse("template", "the model's own template is used; raw takes a prompt without one.");
  }
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
