// SchemaBuilder: values between XML tags.
#include <algorithm>

#include "grammar/schema_builder.h"

namespace kakeya::grammar {

Result<ExprId> SchemaBuilder::build_text_root(const Json& schema, const std::string& at,
                                              std::string_view end) {
  KAKEYA_ASSIGN(const ExprId text, build_text(schema, at, end, 0));
  KAKEYA_TRY(build_pending());
  return text;
}

Result<ExprId> SchemaBuilder::build_text(const Json& schema, const std::string& at, std::string_view end,
                                         std::size_t depth) {
  KAKEYA_TRY(document_.count(at));
  if (depth > document_.limits().max_references) return document_.refuse(at, "schemas nest too deep");
  if (accepts_all(schema)) return g_.until(end);
  if (!schema.is_object()) return document_.refuse(at, "nothing is valid here, or this is no schema");
  KAKEYA_TRY(check_keywords(schema, at));
  KAKEYA_ASSIGN(Json plain, document_.inlined(schema, at, 0));
  if (!plain.is_object() || accepts_all(plain)) return build_text(plain, at, end, depth + 1);
  KAKEYA_TRY(check_keywords(plain, at));
  if (plain.contains("allOf")) {
    const Json parts = plain["allOf"];
    plain.erase("allOf");
    if (!parts.is_array()) return document_.wrong(child_pointer(at, "allOf"), "expected a list");
    for (const Json& part : parts) {
      KAKEYA_ASSIGN(plain, document_.merge(std::move(plain), part, at, 0));
    }
    return build_text(plain, at, end, depth + 1);
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    if (plain.contains(key)) return build_text_choice(std::move(plain), key, at, end, depth);
  }
  if (plain.contains("const") || plain.contains("enum")) return build_text_values(plain, at, end);
  return build_text_types(plain, at, end, depth);
}

Result<ExprId> SchemaBuilder::build_text_choice(Json schema, const std::string& key, const std::string& at,
                                                std::string_view end, std::size_t depth) {
  // Refuses what the JSON form refuses, a oneOf that cannot be told apart first of all.
  KAKEYA_TRY(build_choice(schema, key, at, depth));
  const Json options = schema[key];
  schema.erase(key);
  std::vector<ExprId> branches;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::string place = child_pointer(child_pointer(at, key), std::to_string(i));
    Json option = options[i];
    if (has_assertions(schema)) {
      KAKEYA_ASSIGN(option, document_.merge(schema, option, place, 0));
    }
    if (option == Json(false)) continue;
    KAKEYA_ASSIGN(const ExprId branch, build_text(option, place, end, depth + 1));
    branches.push_back(branch);
  }
  return g_.alt(std::move(branches));
}

Result<ExprId> SchemaBuilder::build_text_values(const Json& schema, const std::string& at,
                                                std::string_view end) {
  KAKEYA_ASSIGN(const std::vector<Json> values, valid_values(schema, at));
  std::vector<std::string> texts;
  std::vector<ExprId> branches;
  for (const Json& value : values) {
    if (value.is_structured()) {
      branches.push_back(this->value(value));
      continue;
    }
    texts.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    if (texts.back().find(end) != std::string::npos) return document_.refuse(at, "a value holds the end tag");
  }
  if (!texts.empty()) branches.push_back(g_.any_text(texts));
  return g_.seq({g_.alt(std::move(branches)), g_.literal(end)});
}

Result<ExprId> SchemaBuilder::build_text_types(const Json& schema, const std::string& at,
                                               std::string_view end, std::size_t depth) {
  std::set<std::string> types = types_of(schema);
  std::vector<ExprId> branches;
  if (types.erase("string") > 0) {
    JsonRules plain = JsonRules::of_plain_text(g_);
    KAKEYA_ASSIGN(const std::optional<ExprId> content, string_content(schema, at, plain));
    if (!content) return g_.until(end);  // holds every other spelling too
    branches.push_back(*content);
  }
  if (!types.empty()) {
    Json others = schema;
    others["type"] = Json(types);
    KAKEYA_ASSIGN(const ExprId json, build_types(others, at, depth));
    branches.push_back(json);
  }
  return g_.seq({g_.alt(std::move(branches)), g_.literal(end)});
}

}  // namespace kakeya::grammar
