// The arguments of one call in Qwen3-Coder's form.
#include "grammar/schema_builder.h"
#include "grammar/tool_calls.h"

namespace kakeya::grammar {
namespace {

constexpr std::string_view kEnd = "\n</parameter>\n";
constexpr std::uint32_t kMaxKeyLength = 64;

Error refuse(const std::string& where, const std::string& at, const std::string& what) {
  return unsupported(where + ": " + at + ": " + what);
}

// Keywords that limit the object itself have no place in this form.
Status check_object(const Json& parameters, const std::string& where) {
  for (const auto& item : parameters.items()) {
    const std::string& key = item.key();
    const bool known =
        key == "type" || key == "properties" || key == "required" || key == "additionalProperties";
    if (!known && keyword_kind(key) != KeywordKind::kAnnotation) {
      return refuse(where, "#/" + key, "beside properties it cannot be kept in Qwen3-Coder's form");
    }
  }
  return {};
}

// Parameters that the schema does not name: any, where it names none.
Result<ExprId> other_parameters(const Json& schema, SchemaBuilder& builder, Grammar& g) {
  const ExprId key = g.repeat(
      g.one_of({{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}, {'-', '-'}, {'.', '.'}}), 1, kMaxKeyLength);
  KAKEYA_ASSIGN(const ExprId value, builder.build_text_root(schema, "#/additionalProperties", kEnd));
  const ExprId one = g.seq({g.literal("<parameter="), key, g.literal(">\n"), value});
  return g.repeat(one, 0, kUnbounded);
}

}  // namespace

Result<ExprId> xml_parameters(const Json& parameters, const std::string& where, Grammar& g, JsonRules& json) {
  KAKEYA_TRY(check_object(parameters, where));
  SchemaBuilder builder(parameters, where, g, json);
  const Json properties = parameters.value("properties", Json::object());
  if (!properties.is_object()) return invalid_argument(where + ": #/properties: expected an object");
  const Json others = parameters.value("additionalProperties", Json(true));
  if (!parameters.contains("properties") && others != Json(false))
    return other_parameters(others, builder, g);

  std::set<std::string> required;
  for (const Json& name : parameters.value("required", Json::array())) {
    if (!name.is_string()) return invalid_argument(where + ": #/required: expected a list of names");
    if (!properties.contains(name.get<std::string>())) {
      return refuse(where, "#/required", "'" + name.get<std::string>() + "' is none of the properties");
    }
    required.insert(name.get<std::string>());
  }
  std::vector<ExprId> parts;
  for (const auto& item : properties.items()) {
    const std::string at = child_pointer("#/properties", item.key());
    if (item.value() == Json(false) && required.count(item.key()) == 0) continue;
    if (item.key().empty() || item.key().find_first_of(">\n") != std::string::npos) {
      return refuse(where, at, "the name cannot stand in a tag");
    }
    KAKEYA_ASSIGN(const ExprId value, builder.build_text_root(item.value(), at, kEnd));
    const ExprId one = g.seq({g.literal("<parameter=" + item.key() + ">\n"), value});
    parts.push_back(required.count(item.key()) > 0 ? one : g.optional(one));
  }
  return g.seq(std::move(parts));
}

}  // namespace kakeya::grammar
