#include "serve/wire/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/failures.h"

namespace kakeya::serve::wire {

std::optional<http::ApiError> read_text(const Json& content, const std::string& place,
                                        std::initializer_list<std::string_view> text_types,
                                        std::string& out) {
  if (content.is_null()) return {};
  if (content.is_string()) {
    out += content.get_ref<const std::string&>();
    return {};
  }
  if (!content.is_array()) {
    return bad_field(place, fmt::format("{}: found {}, expected a string or an array of parts.", place,
                                        describe(content)));
  }
  for (std::size_t i = 0; i < content.size(); ++i) {
    const Json& part = content[i];
    const std::string here = fmt::format("{}[{}]", place, i);
    const std::string type = part.is_object() && part.contains("type") && part["type"].is_string()
                                 ? part["type"].get<std::string>()
                                 : "";
    if (type.empty()) return bad_field(here, here + ": expected an object with a type.");
    if (std::find(text_types.begin(), text_types.end(), type) == text_types.end()) {
      return unsupported_field(
          here, fmt::format("{}: found a part of type '{}'; this model takes text alone.", here, type));
    }
    if (!part.contains("text") || !part["text"].is_string()) {
      return bad_field(here + ".text", here + ".text: expected a string.");
    }
    out += part["text"].get_ref<const std::string&>();
  }
  return {};
}

std::string function_tool(const std::string& name, const Json* description, const Json* parameters) {
  Json function = {{"name", name}};
  if (description != nullptr) function["description"] = *description;
  if (parameters != nullptr && parameters->is_object() && !parameters->empty()) {
    function["parameters"] = *parameters;
  } else {
    function["parameters"] = {{"type", "object"}, {"properties", Json::object()}};
  }
  return dump({{"type", "function"}, {"function", std::move(function)}});
}

ConstraintSpec schema_constraint(const Json& schema) {
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kJsonSchema;
  spec.text = dump(schema);
  return spec;
}

}  // namespace kakeya::serve::wire
