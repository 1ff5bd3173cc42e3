#include "grammar/schema.h"

#include <algorithm>

#include "grammar/schema_builder.h"

namespace kakeya::grammar {

Result<ExprId> schema_expression(const std::string& name, std::string_view text, Grammar& grammar,
                                 JsonRules& json) {
  KAKEYA_ASSIGN(const Json document, parse_schema_json(name, text, {}));
  return SchemaBuilder(document, name, grammar, json).build_root(document);
}

Result<ExprId> SchemaBuilder::build_root(const Json& schema) {
  KAKEYA_ASSIGN(const ExprId body, build(schema, "#", 0));
  KAKEYA_TRY(build_pending());
  return body;
}

// What references name is built after, one by one: a long chain of them needs no deep recursion.
Status SchemaBuilder::build_pending() {
  while (!pending_.empty()) {
    const Pending next = pending_.front();
    pending_.pop_front();
    KAKEYA_ASSIGN(const Json* target, document_.resolve(next.reference, next.reference));
    KAKEYA_ASSIGN(const ExprId expr, build(*target, next.reference, 0));
    g_.define(next.rule, expr);
  }
  return {};
}

Status SchemaBuilder::check_keywords(const Json& schema, const std::string& at) const {
  for (const auto& [key, value] : schema.items()) {
    if (keyword_kind(key) != KeywordKind::kRefused) continue;
    const bool says_nothing =
        ((key == "uniqueItems" || key == "additionalItems") && value == Json(false)) ||
        (key == "minProperties" && value == Json(0)) ||
        (key.starts_with("unevaluated") && accepts_all(value)) ||
        (key == "multipleOf" && value == Json(1) && types_of(schema) == std::set<std::string>{"integer"});
    if (!says_nothing) return document_.refuse(child_pointer(at, key), "this keyword cannot be kept");
  }
  return {};
}

Result<ExprId> SchemaBuilder::build(const Json& schema, const std::string& at, std::size_t depth) {
  KAKEYA_TRY(document_.count(at));
  if (depth > document_.limits().max_references) return document_.refuse(at, "schemas nest too deep");
  if (accepts_all(schema)) return json_.any_value(kAnyDepth);
  if (schema.is_boolean()) return document_.refuse(at, "nothing is valid here");
  if (!schema.is_object()) return document_.wrong(at, "expected a schema: an object or a boolean");
  KAKEYA_TRY(check_keywords(schema, at));
  if (schema.contains("$ref") && schema["$ref"].is_string() && !schema.contains("nullable")) {
    const bool alone = std::none_of(schema.items().begin(), schema.items().end(), [](const auto& item) {
      return item.key() != "$ref" && keyword_kind(item.key()) != KeywordKind::kAnnotation;
    });
    if (alone) return build_reference(schema["$ref"].get<std::string>(), at);
  }
  KAKEYA_ASSIGN(Json plain, document_.inlined(schema, at, 0));
  if (!plain.is_object()) return build(plain, at, depth + 1);
  KAKEYA_TRY(check_keywords(plain, at));
  return build_inlined(std::move(plain), at, depth);
}

Result<ExprId> SchemaBuilder::build_inlined(Json schema, const std::string& at, std::size_t depth) {
  if (schema.contains("allOf")) return build_all_of(std::move(schema), at, depth);
  for (const char* key : {"anyOf", "oneOf"}) {
    if (schema.contains(key)) return build_choice(std::move(schema), key, at, depth);
  }
  if (schema.contains("const") || schema.contains("enum")) return build_values(schema, at);
  return build_types(schema, at, depth);
}

Result<ExprId> SchemaBuilder::build_reference(const std::string& reference, const std::string& at) {
  const auto known = references_.find(reference);
  if (known != references_.end()) return g_.call(known->second);
  KAKEYA_TRY(document_.resolve(reference, child_pointer(at, "$ref")));
  const RuleId rule = g_.add_rule(reference);
  references_.emplace(reference, rule);
  pending_.push_back({rule, reference});
  return g_.call(rule);
}

Result<ExprId> SchemaBuilder::build_all_of(Json schema, const std::string& at, std::size_t depth) {
  const Json parts = schema["allOf"];
  schema.erase("allOf");
  if (!parts.is_array()) return document_.wrong(child_pointer(at, "allOf"), "expected a list");
  Json all = std::move(schema);
  for (const Json& part : parts) {
    KAKEYA_ASSIGN(all, document_.merge(std::move(all), part, at, 0));
  }
  return build(all, at, depth + 1);
}

Result<ExprId> SchemaBuilder::build_choice(Json schema, const std::string& key, const std::string& at,
                                           std::size_t depth) {
  const Json options = schema[key];
  schema.erase(key);
  const std::string here = child_pointer(at, key);
  if (!options.is_array() || options.empty()) return document_.wrong(here, "expected a list of schemas");
  std::vector<ExprId> branches;
  std::vector<Json> merged;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::string place = child_pointer(here, std::to_string(i));
    Json option = options[i];
    if (has_assertions(schema)) {
      KAKEYA_ASSIGN(option, document_.merge(schema, option, place, 0));
    }
    merged.push_back(option);
    if (option == Json(false)) continue;
    KAKEYA_ASSIGN(const ExprId branch, build(option, place, depth + 1));
    branches.push_back(branch);
  }
  if (branches.empty()) return document_.refuse(here, "nothing is valid for any of these schemas");
  // anyOf takes what is valid for one or more; oneOf only if no text can be valid for two.
  for (std::size_t i = 0; key == "oneOf" && i < merged.size(); ++i) {
    for (std::size_t j = 0; j < merged.size(); ++j) {
      if (i == j) continue;
      KAKEYA_ASSIGN(const bool apart, document_.never_valid(merged[i], merged[j], 0));
      if (!apart) {
        return document_.refuse(here, "schemas " + std::to_string(i) + " and " + std::to_string(j) +
                                          " may both be valid for one text; use anyOf, or a property whose "
                                          "const tells them apart");
      }
    }
  }
  return g_.alt(std::move(branches));
}

ExprId SchemaBuilder::value(const Json& value) {
  if (!value.is_structured()) return g_.literal(value.dump());
  std::vector<ExprId> parts;
  for (const auto& [key, item] : value.items()) {
    if (!parts.empty()) parts.push_back(json_.comma());
    if (value.is_object()) {
      parts.push_back(g_.literal(Json(key).dump()));
      parts.push_back(json_.colon());
    }
    parts.push_back(this->value(item));
  }
  const std::string_view open = value.is_object() ? "{" : "[", close = value.is_object() ? "}" : "]";
  if (parts.empty()) return json_.wrapped_or_empty(open, g_.alt({}), close);
  return json_.wrapped(open, g_.seq(std::move(parts)), close);
}

Result<std::vector<Json>> SchemaBuilder::valid_values(const Json& schema, const std::string& at) {
  const bool one = schema.contains("const");
  const std::string key = one ? "const" : "enum";
  for (const auto& item : schema.items()) {
    const bool other = item.key() != key && item.key() != "type" && item.key() != "format" &&
                       item.key() != "enum" && keyword_kind(item.key()) != KeywordKind::kAnnotation;
    if (other) return document_.refuse(child_pointer(at, item.key()), "beside " + key + " it cannot be kept");
  }
  const Json values = one ? Json::array({schema["const"]}) : schema["enum"];
  if (!values.is_array()) return document_.wrong(child_pointer(at, "enum"), "expected a list");
  const auto is_valid = [&](const Json& v) {
    if (one && schema.contains("enum")) {
      const Json& listed = schema["enum"];
      if (!listed.is_array() || std::find(listed.begin(), listed.end(), v) == listed.end()) return false;
    }
    if (!schema.contains("type")) return true;
    const std::set<std::string> types = types_of(schema);
    if (v.is_number()) {
      const bool whole =
          v.is_number_integer() ||
          v.get<double>() ==
              static_cast<double>(static_cast<long long>(std::clamp(v.get<double>(), -9e18, 9e18)));
      return types.contains("number") || (types.contains("integer") && whole);
    }
    return types.contains(v.is_string()    ? "string"
                          : v.is_object()  ? "object"
                          : v.is_array()   ? "array"
                          : v.is_boolean() ? "boolean"
                                           : "null");
  };
  std::vector<Json> valid;
  std::copy_if(values.begin(), values.end(), std::back_inserter(valid), is_valid);
  if (valid.empty()) return document_.refuse(child_pointer(at, key), "none of the values is valid here");
  return valid;
}

Result<ExprId> SchemaBuilder::build_values(const Json& schema, const std::string& at) {
  KAKEYA_ASSIGN(const std::vector<Json> values, valid_values(schema, at));
  std::vector<std::string> texts;
  std::vector<ExprId> branches;
  for (const Json& v : values) {
    if (v.is_structured()) {
      branches.push_back(value(v));
    } else {
      texts.push_back(v.dump());
    }
  }
  if (!texts.empty()) branches.push_back(g_.any_text(texts));
  return g_.alt(std::move(branches));
}

Result<ExprId> SchemaBuilder::build_types(const Json& schema, const std::string& at, std::size_t depth) {
  std::vector<ExprId> branches;
  for (const std::string& type : types_of(schema)) {
    std::optional<ExprId> branch;
    if (type == "object") {
      KAKEYA_ASSIGN(branch, build_object(schema, at, depth));
    } else if (type == "array") {
      KAKEYA_ASSIGN(branch, build_array(schema, at, depth));
    } else if (type == "string") {
      KAKEYA_ASSIGN(branch, build_string(schema, at));
    } else if (type == "number") {
      KAKEYA_ASSIGN(branch, build_number(schema, at));
    } else if (type == "integer") {
      KAKEYA_ASSIGN(branch, build_integer(schema, at));
    } else if (type == "boolean") {
      branch = g_.any_text({"true", "false"});
    } else if (type == "null") {
      branch = g_.literal("null");
    } else {
      return document_.wrong(child_pointer(at, "type"), "unknown type '" + type + "'");
    }
    branches.push_back(*branch);
  }
  if (branches.empty())
    return document_.wrong(child_pointer(at, "type"), "expected a type or a list of types");
  return g_.alt(std::move(branches));
}

}  // namespace kakeya::grammar
