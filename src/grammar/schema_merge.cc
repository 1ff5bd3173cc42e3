// Merging and telling apart of schemas: what allOf, references with neighbours and oneOf need.
#include <algorithm>

#include "grammar/schema_json.h"

namespace kakeya::grammar {
namespace {

bool allows_type(const std::set<std::string>& types, const std::string& type) {
  return types.contains(type) || (type == "integer" && types.contains("number"));
}

Json types_in_both(const Json& a, const Json& b) {
  const std::set<std::string> left = types_of(Json{{"type", a}}), right = types_of(Json{{"type", b}});
  Json out = Json::array();
  for (const std::string& t : left) {
    if (allows_type(right, t)) out.push_back(t);
  }
  for (const std::string& t : right) {
    if (!left.contains(t) && allows_type(left, t)) out.push_back(t);
  }
  return out;
}

Json values_in_both(const Json& a, const Json& b) {
  Json out = Json::array();
  for (const Json& value : a) {
    if (std::find(b.begin(), b.end(), value) != b.end()) out.push_back(value);
  }
  return out;
}

const Json& no_properties() {
  static const Json none = Json::object();
  return none;
}

const Json& properties_of(const Json& schema) {
  const auto found = schema.find("properties");
  return found != schema.end() && found->is_object() ? *found : no_properties();
}

// const and enum as a list; null where the values are not listed.
Json listed_values(const Json& schema) {
  if (schema.contains("const")) return Json::array({schema["const"]});
  if (schema.contains("enum") && schema["enum"].is_array()) return schema["enum"];
  return nullptr;
}

std::string type_of_value(const Json& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  return value.is_null() ? "null" : "number";
}

std::set<std::string> possible_types(const Json& schema) {
  const Json values = listed_values(schema);
  if (values.is_null()) return types_of(schema);
  std::set<std::string> out;
  for (const Json& value : values) out.insert(type_of_value(value));
  return out;
}

}  // namespace

// `out` has `key` already, and the two differ.
Status SchemaDocument::merge_keyword(Json& out, const std::string& key, const Json& value,
                                     const std::string& at) {
  Json& mine = out[key];
  const auto numbers = [&] { return mine.is_number() && value.is_number(); };
  const auto lists = [&] { return mine.is_array() && value.is_array(); };
  if (key == "type") {
    mine = types_in_both(mine, value);
    if (mine.empty()) out = false;
    return {};
  }
  if (key == "enum" && lists()) {
    mine = values_in_both(mine, value);
    if (mine.empty()) out = false;
    return {};
  }
  if (key == "const") {
    out = false;
    return {};
  }
  if (key == "required" && lists()) {
    for (const Json& name : value) {
      if (std::find(mine.begin(), mine.end(), name) == mine.end()) mine.push_back(name);
    }
    return {};
  }
  if (key == "allOf" && lists()) {
    for (const Json& schema : value) mine.push_back(schema);
    return {};
  }
  if (numbers() && (key.starts_with("min") || key == "exclusiveMinimum")) {
    mine = std::max(mine, value);
    return {};
  }
  if (numbers() && (key.starts_with("max") || key == "exclusiveMaximum")) {
    mine = std::min(mine, value);
    return {};
  }
  return refuse(child_pointer(at, key),
                "two different values of this keyword hold at once (allOf or $ref), "
                "which cannot be kept");
}

// False when a required property can have no value.
Result<bool> SchemaDocument::merge_properties(Json& out, const Json& a, const Json& b, const std::string& at,
                                              std::size_t depth) {
  Json merged = Json::object();
  const auto others_of = [](const Json& schema) -> const Json* {
    const auto found = schema.find("additionalProperties");
    return found != schema.end() ? &*found : nullptr;
  };
  const auto add = [&](const std::string& name, const Json& schema, const Json* other) -> Status {
    merged[name] = schema;
    if (other != nullptr) {
      KAKEYA_ASSIGN(merged[name], merge(schema, *other, child_pointer(at, name), depth + 1));
    }
    return {};
  };
  for (const auto& [name, schema] : properties_of(a).items()) {
    const bool both = properties_of(b).contains(name);
    KAKEYA_TRY(add(name, schema, both ? &properties_of(b)[name] : others_of(b)));
  }
  for (const auto& [name, schema] : properties_of(b).items()) {
    if (!properties_of(a).contains(name)) KAKEYA_TRY(add(name, schema, others_of(a)));
  }
  if (!merged.empty()) out["properties"] = merged;
  if (const Json* x = others_of(a), *y = others_of(b); x != nullptr && y != nullptr) {
    KAKEYA_ASSIGN(out["additionalProperties"],
                  merge(*x, *y, child_pointer(at, "additionalProperties"), depth + 1));
  }
  for (const auto& [name, schema] : merged.items()) {
    if (schema == Json(false) && names_required(out, name)) return false;
  }
  return true;
}

Result<Json> SchemaDocument::merge(Json a, Json b, const std::string& at, std::size_t depth) {
  KAKEYA_TRY(count(at, weight_of(a) + weight_of(b)));
  if (depth > limits_.max_references) {
    return refuse(at, "schemas hold at once more than " + std::to_string(limits_.max_references) + " deep");
  }
  if (accepts_all(a)) return b;
  if (accepts_all(b)) return a;
  if (a == Json(false) || b == Json(false)) return Json(false);
  if (!a.is_object() || !b.is_object()) return wrong(at, "expected a schema: an object or a boolean");
  if (a == b) return a;
  KAKEYA_ASSIGN(a, inlined(std::move(a), at, depth + 1));
  KAKEYA_ASSIGN(b, inlined(std::move(b), at, depth + 1));
  if (!a.is_object() || !b.is_object()) return merge(std::move(a), std::move(b), at, depth + 1);
  // `items` speaks of what follows the prefix of its own schema only.
  const auto speaks_of_items = [](const Json& s) { return s.contains("items") || s.contains("prefixItems"); };
  const auto has_prefix = [](const Json& s) {
    return s.contains("prefixItems") || (s.contains("items") && s["items"].is_array());
  };
  if ((has_prefix(a) && speaks_of_items(b)) || (has_prefix(b) && speaks_of_items(a))) {
    return refuse(child_pointer(at, "prefixItems"), "two schemas for the items of one list cannot be kept");
  }
  Json out = a;
  for (const auto& [key, value] : b.items()) {
    if (key == "properties" || keyword_kind(key) == KeywordKind::kAnnotation) continue;
    const bool mine = out.contains(key);
    if (key == "additionalProperties" && mine) continue;
    if (!mine) {
      out[key] = value;
    } else if (key == "items" || (key == "format" && out[key] == value)) {
      KAKEYA_ASSIGN(out[key], merge(out[key], value, child_pointer(at, key), depth + 1));
    } else if (out[key] != value) {
      KAKEYA_TRY(merge_keyword(out, key, value, at));
      if (out == Json(false)) return out;
    }
  }
  KAKEYA_ASSIGN(const bool possible, merge_properties(out, a, b, at, depth));
  return possible ? out : Json(false);
}

Result<bool> SchemaDocument::never_valid(const Json& first, const Json& second, std::size_t depth) {
  KAKEYA_TRY(count("#", weight_of(first) + weight_of(second)));
  if (depth > 8) return false;
  KAKEYA_ASSIGN(const Json a, inlined(first, "#", depth));
  KAKEYA_ASSIGN(const Json b, inlined(second, "#", depth));
  if (a == Json(false) || b == Json(false)) return true;
  if (!a.is_object() || !b.is_object()) return false;
  const std::set<std::string> left = possible_types(a), right = possible_types(b);
  const bool common = std::any_of(left.begin(), left.end(), [&](const std::string& t) {
    return allows_type(right, t) || (t == "number" && right.contains("integer"));
  });
  // A `type` that is not there allows every type, whatever the other keywords speak of.
  const bool told = !listed_values(b).is_null() || b.contains("type");
  if (!common && told) return true;
  const Json mine = listed_values(a), theirs = listed_values(b);
  if (mine.is_array() && theirs.is_array() && values_in_both(mine, theirs).empty()) return true;
  if (left != std::set<std::string>{"object"}) return false;
  return never_valid_object(a, b, depth);
}

Result<bool> SchemaDocument::never_valid_object(const Json& a, const Json& b, std::size_t depth) {
  const Json &mine = properties_of(a), &theirs = properties_of(b);
  const bool closed = mine.empty() ? a.value("additionalProperties", Json(true)) == Json(false)
                                   : a.value("additionalProperties", Json(false)) == Json(false);
  for (const auto& name : b.value("required", Json::array())) {
    if (!name.is_string()) continue;
    const auto text = name.get<std::string>();
    if (closed && !mine.contains(text) && !names_required(a, text)) return true;
  }
  for (const auto& name : a.value("required", Json::array())) {
    if (!name.is_string()) continue;
    const auto text = name.get<std::string>();
    if (!theirs.contains(text)) {
      if (b.value("additionalProperties", Json(true)) == Json(false)) return true;
      continue;
    }
    if (!mine.contains(text)) continue;
    KAKEYA_ASSIGN(const bool apart, never_valid(mine[text], theirs[text], depth + 1));
    if (apart) return true;
  }
  return false;
}

}  // namespace kakeya::grammar
