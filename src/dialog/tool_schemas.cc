#include "dialog/tool_schemas.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "dialog/tool_call.h"

namespace kakeya::dialog {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 16;  // of references and choices

struct Wanted {
  std::set<std::string> types;
  std::set<std::string> strings;  // listed in enum or const
  bool any = false;               // the schema says nothing
};

std::string type_of(const json& value) {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_null()) return "null";
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  const bool whole = value.is_number_integer() || value.get<double>() == std::floor(value.get<double>());
  return whole ? "integer" : "number";
}

// What "#/a/b" names; null when it names nothing.
const json* referenced(const json& root, const std::string& reference) {
  if (!reference.starts_with('#')) return nullptr;
  try {
    const json::json_pointer pointer(reference.substr(1));
    return root.contains(pointer) ? &root.at(pointer) : nullptr;
  } catch (const json::exception&) {
    return nullptr;
  }
}

void add_values(const json& values, Wanted& out) {
  for (const json& value : values) {
    out.types.insert(type_of(value));
    if (value.is_string()) out.strings.insert(value.get<std::string>());
  }
}

void collect(const json& root, const json& schema, int depth, Wanted& out) {
  if (!schema.is_object() || depth > kMaxDepth) {
    out.any = true;
    return;
  }
  bool said = false;
  if (schema.contains("$ref") && schema["$ref"].is_string()) {
    if (const json* target = referenced(root, schema["$ref"].get_ref<const std::string&>())) {
      collect(root, *target, depth + 1, out);
      said = true;
    }
  }
  for (const char* key : {"anyOf", "oneOf", "allOf"}) {
    if (!schema.contains(key) || !schema[key].is_array()) continue;
    for (const json& option : schema[key]) collect(root, option, depth + 1, out);
    said = true;
  }
  if (schema.contains("const")) {
    add_values(json::array({schema["const"]}), out);
  } else if (schema.contains("enum") && schema["enum"].is_array()) {
    add_values(schema["enum"], out);
  } else if (schema.contains("type")) {
    const json& type = schema["type"];
    for (const json& one : type.is_array() ? type : json::array({type})) {
      if (one.is_string()) out.types.insert(one.get<std::string>());
    }
  } else if (schema.contains("properties")) {
    out.types.insert("object");
  } else if (schema.contains("items")) {
    out.types.insert("array");
  } else if (!said) {
    out.any = true;
  }
  if (schema.value("nullable", json()) == true) out.types.insert("null");
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

ToolSchemas::ToolSchemas(const std::vector<std::string>& tools_json) {
  for (const std::string& text : tools_json) {
    const json tool = json::parse(text, nullptr, false);
    const json& function = tool.is_object() && tool.contains("function") ? tool["function"] : tool;
    if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) continue;
    parameters_[function["name"].get<std::string>()] =
        std::make_unique<json>(function.value("parameters", json::object()));
  }
}

ToolSchemas::~ToolSchemas() = default;

bool ToolSchemas::has(std::string_view tool) const { return parameters_.find(tool) != parameters_.end(); }

bool ToolSchemas::has_beginning(std::string_view begin) const {
  const auto found = parameters_.lower_bound(begin);
  return found != parameters_.end() && found->first.starts_with(begin);
}

std::string ToolSchemas::argument(std::string_view tool, const std::string& key,
                                  std::string_view text) const {
  const auto found = parameters_.find(tool);
  const json* properties = nullptr;
  if (found != parameters_.end() && found->second->is_object() && found->second->contains("properties")) {
    properties = &(*found->second)["properties"];
  }
  if (properties == nullptr || !properties->is_object() || !properties->contains(key))
    return json_string(text);
  Wanted wanted;
  collect(*found->second, (*properties)[key], 0, wanted);
  if (wanted.strings.count(std::string(text)) > 0) return json_string(text);

  std::string_view value = trimmed(text);
  if (value == "True") value = "true";
  if (value == "False") value = "false";
  if (value == "None") value = "null";
  if (!is_shallow(value)) return json_string(text);
  const json parsed = json::parse(value.begin(), value.end(), nullptr, false);
  if (parsed.is_discarded() || parsed.is_string()) return json_string(text);
  const std::string type = type_of(parsed);
  const bool fits =
      wanted.any || wanted.types.count(type) > 0 || (type == "integer" && wanted.types.count("number") > 0);
  return fits ? std::string(value) : json_string(text);
}

}  // namespace kakeya::dialog
