#include "serve/openai/tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/failures.h"

namespace kakeya::serve::openai {
namespace {

constexpr std::size_t kMaxTools = 512, kMaxName = 256;

// The object that holds a tool's name: below `inner`, or the tool itself when it is flat.
const Json& body_of(const Json& tool, const char* inner) {
  const Json* nested = field(tool, inner);
  return nested != nullptr && nested->is_object() ? *nested : tool;
}

Json no_parameters() { return {{"type", "object"}, {"properties", Json::object()}}; }

// `source` as it came, "strict" too, but for parameters that are missing or say nothing.
Json function_tool(const Json& source) {
  Json function = source;
  function.erase("type");
  const Json* parameters = field(source, "parameters");
  if (parameters == nullptr) parameters = field(source, "input_schema");
  const bool usable = parameters != nullptr && parameters->is_object() && !parameters->empty();
  const Json kept = usable ? *parameters : no_parameters();
  function.erase("input_schema");
  function["parameters"] = kept;
  return {{"type", "function"}, {"function", function}};
}

Json custom_tool(const Json& source) {
  std::string description = text_field(source, "description");
  const Json* format = field(source, "format");
  if (format != nullptr && format->is_object()) {
    const Json& grammar = body_of(*format, "grammar");
    if (const std::string definition = text_field(grammar, "definition"); !definition.empty()) {
      description += fmt::format("\n\nThe input follows this grammar ({}):\n{}",
                                 text_field(grammar, "syntax"), definition);
    }
  }
  const Json parameters = {{"type", "object"},
                           {"properties", {{"input", {{"type", "string"}}}}},
                           {"required", Json::array({"input"})}};
  return {{"type", "function"},
          {"function",
           {{"name", text_field(source, "name")}, {"description", description}, {"parameters", parameters}}}};
}

void read_tool(const Json& tool, const std::string& where, Fields& fields, Tools& out) {
  if (!tool.is_object()) return fields.fail(bad_field(where, where + ": expected an object."));
  const std::string type = text_field(tool, "type");
  const bool custom = type == "custom";
  if (!custom && type != "function" && !type.empty()) {
    return fields.fail(unsupported_field(
        where + ".type",
        fmt::format("{}.type: found '{}', expected function or custom: this server runs no tools "
                    "of its own.",
                    where, type)));
  }
  const Json& source = body_of(tool, custom ? "custom" : "function");
  const std::string name = text_field(source, "name");
  if (name.empty() || name.size() > kMaxName) {
    return fields.fail(
        bad_field(where + ".name", fmt::format("{}: expected a name of 1 to {} bytes.", where, kMaxName)));
  }
  for (const char* key : {"parameters", "input_schema"}) {
    const Json* parameters = custom ? nullptr : field(source, key);
    if (parameters == nullptr || parameters->is_object() || *parameters == Json::array())
      continue;  // PHP: {}
    const std::string place = where + "." + key;
    return fields.fail(
        bad_field(place, fmt::format("{}: found {}, expected an object.", place, describe(*parameters))));
  }
  const Json made = custom ? custom_tool(source) : function_tool(source);
  if (custom) out.custom.insert(name);
  out.names.push_back(name);
  out.json.push_back(made.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void keep_only(const Json& allowed, Tools& tools) {
  std::vector<std::string> names;
  for (const Json& tool : allowed) {
    if (tool.is_object()) names.push_back(text_field(body_of(tool, "function"), "name"));
  }
  std::vector<std::string> json, kept;
  for (std::size_t i = 0; i < tools.names.size(); ++i) {
    if (std::find(names.begin(), names.end(), tools.names[i]) == names.end()) continue;
    json.push_back(tools.json[i]);
    kept.push_back(tools.names[i]);
  }
  tools.json = std::move(json);
  tools.names = std::move(kept);
}

bool choose_mode(const std::string& mode, Tools& tools) {
  if (mode == "auto") tools.choice = dialog::ToolChoice::kAuto;
  if (mode == "none") tools.choice = dialog::ToolChoice::kNone;
  if (mode == "required" || mode == "any") tools.choice = dialog::ToolChoice::kRequired;
  return mode == "auto" || mode == "none" || mode == "required" || mode == "any";
}

void choose_object(const Json& choice, Fields& fields, Tools& tools) {
  const std::string type = text_field(choice, "type");
  if (type == "allowed_tools") {
    const Json& allowed = body_of(choice, "allowed_tools");
    if (const Json* list = field(allowed, "tools"); list != nullptr && list->is_array())
      keep_only(*list, tools);
    const std::string mode = text_field(allowed, "mode");
    if (!mode.empty() && !choose_mode(mode, tools))
      fields.fail("tool_choice", "unknown mode '" + mode + "'.");
    return;
  }
  if (choose_mode(type, tools)) return;
  const std::string name = text_field(body_of(choice, type == "custom" ? "custom" : "function"), "name");
  if ((type != "function" && type != "custom" && type != "tool") || name.empty()) {
    return fields.fail(
        "tool_choice",
        "expected \"none\", \"auto\", \"required\", or an object that names one of the tools.");
  }
  if (std::find(tools.names.begin(), tools.names.end(), name) == tools.names.end()) {
    return fields.fail("tool_choice", fmt::format("'{}' is not among the tools.", name));
  }
  tools.choice = dialog::ToolChoice::kNamed;
  tools.chosen = name;
}

}  // namespace

Tools read_tools(Fields& fields) {
  Tools tools;
  tools.parallel = fields.boolean("parallel_tool_calls", true);
  if (const Json* list = fields.array("tools")) {
    if (list->size() > kMaxTools) fields.fail("tools", fmt::format("expected at most {}.", kMaxTools));
    for (std::size_t i = 0; i < list->size() && fields.ok(); ++i) {
      read_tool((*list)[i], fmt::format("{}[{}]", fields.name_of("tools"), i), fields, tools);
    }
  }
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr || !fields.ok()) return tools;
  if (choice->is_object()) {
    choose_object(*choice, fields, tools);
  } else if (!choice->is_string() || !choose_mode(choice->get<std::string>(), tools)) {
    fields.fail("tool_choice",
                fmt::format("found {}, expected none, auto, required or an object.", describe(*choice)));
  }
  if (tools.choice == dialog::ToolChoice::kRequired && tools.json.empty()) {
    fields.fail("tool_choice", "a tool is required, but tools is empty.");
  }
  return tools;
}

std::string custom_input(const std::string& arguments) {
  const Json value = Json::parse(arguments, nullptr, false);
  if (value.is_object() && value.contains("input") && value["input"].is_string()) {
    return value["input"].get<std::string>();
  }
  return arguments;
}

}  // namespace kakeya::serve::openai
