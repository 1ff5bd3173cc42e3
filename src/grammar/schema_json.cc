#include "grammar/schema_json.h"

#include <algorithm>
#include <map>

namespace kakeya::grammar {
namespace {

const std::set<std::string>& all_types() {
  static const std::set<std::string> types{"object", "array", "string", "number", "boolean", "null"};
  return types;
}

// Keyword -> the only type it speaks of.
const std::map<std::string, std::string>& typed_keywords() {
  static const std::map<std::string, std::string> keywords{
      {"properties", "object"}, {"required", "object"},         {"additionalProperties", "object"},
      {"items", "array"},       {"prefixItems", "array"},       {"minItems", "array"},
      {"maxItems", "array"},    {"minLength", "string"},        {"maxLength", "string"},
      {"pattern", "string"},    {"minimum", "number"},          {"maximum", "number"},
      {"format", "string"},     {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}};
  return keywords;
}

const std::set<std::string>& refused_keywords() {
  static const std::set<std::string> keywords{
      "not",           "if",          "dependentRequired",     "dependentSchemas", "dependencies",
      "propertyNames", "contains",    "patternProperties",     "minProperties",    "maxProperties",
      "uniqueItems",   "multipleOf",  "unevaluatedProperties", "unevaluatedItems", "$dynamicRef",
      "minContains",   "maxContains", "$recursiveRef",         "additionalItems",  "extends",
      "disallow",      "divisibleBy"};
  return keywords;
}

}  // namespace

KeywordKind keyword_kind(const std::string& keyword) {
  static const std::set<std::string> others{"type",  "enum",  "const", "$ref",
                                            "allOf", "anyOf", "oneOf", "nullable"};
  if (refused_keywords().contains(keyword)) return KeywordKind::kRefused;
  if (typed_keywords().contains(keyword) || others.contains(keyword)) return KeywordKind::kAssertion;
  return KeywordKind::kAnnotation;
}

bool has_assertions(const Json& schema) {
  if (!schema.is_object()) return schema.is_boolean() && !schema.get<bool>();
  return std::any_of(schema.items().begin(), schema.items().end(),
                     [](const auto& item) { return keyword_kind(item.key()) != KeywordKind::kAnnotation; });
}

bool accepts_all(const Json& schema) {
  return schema.is_boolean() ? schema.get<bool>() : schema.is_object() && !has_assertions(schema);
}

namespace {

std::size_t nodes_of(const Json& value) {
  std::size_t nodes = 1;
  if (value.is_structured()) {
    for (const Json& child : value) nodes += nodes_of(child);
  }
  return nodes;
}

}  // namespace

std::size_t weight_of(const Json& value) { return 1 + nodes_of(value) / 16; }

std::set<std::string> types_of(const Json& schema) {
  std::set<std::string> out;
  if (!schema.is_object()) return schema == Json(false) ? out : all_types();
  const auto type = schema.find("type");
  if (type != schema.end() && type->is_string()) out.insert(type->get<std::string>());
  if (type != schema.end() && type->is_array()) {
    for (const Json& t : *type) {
      if (t.is_string()) out.insert(t.get<std::string>());
    }
  }
  if (out.contains("number")) out.erase("integer");
  if (type != schema.end()) return out;
  for (const auto& item : schema.items()) {
    const auto known = typed_keywords().find(item.key());
    if (known != typed_keywords().end()) out.insert(known->second);
  }
  return out.empty() ? all_types() : out;
}

Result<Json> parse_schema_json(const std::string& name, std::string_view text, const SchemaLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return unsupported(name + ": found " + std::to_string(text.size()) + " bytes, expected at most " +
                       std::to_string(limits.max_bytes));
  }
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limits.max_depth) {
        return unsupported(name + ": byte " + std::to_string(i) + ": JSON nests deeper than " +
                           std::to_string(limits.max_depth));
      }
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error& error) {
    return invalid_argument(name + ": byte " + std::to_string(error.byte) + ": not valid JSON");
  } catch (const Json::exception&) {
    return invalid_argument(name + ": not valid JSON: a number that no double holds");
  }
}

std::string child_pointer(const std::string& at, std::string_view key) {
  std::string out = at + "/";
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return out;
}

Json without_nullable(Json schema) {
  if (!schema.is_object() || !schema.contains("nullable")) return schema;
  const bool nullable = schema["nullable"] == Json(true);
  schema.erase("nullable");
  if (!nullable) return schema;
  if (schema.contains("type")) {
    Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    types.push_back("null");
    schema["type"] = types;
    return schema;
  }
  if (!has_assertions(schema)) return schema;
  return Json{{"anyOf", Json::array({std::move(schema), Json{{"type", "null"}}})}};
}

bool names_required(const Json& schema, const std::string& property) {
  const auto required = schema.find("required");
  return required != schema.end() && required->is_array() &&
         std::find(required->begin(), required->end(), Json(property)) != required->end();
}

Error SchemaDocument::refuse(const std::string& at, const std::string& what) const {
  return unsupported(name_ + ": " + at + ": " + what);
}
Error SchemaDocument::wrong(const std::string& at, const std::string& what) const {
  return invalid_argument(name_ + ": " + at + ": " + what);
}

Status SchemaDocument::count(const std::string& at, std::size_t weight) {
  visits_ += weight;
  if (visits_ <= limits_.max_visits) return {};
  return refuse(at, "more than " + std::to_string(limits_.max_visits) +
                        " schemas inside schemas, built, merged or compared");
}

Result<const Json*> SchemaDocument::resolve(const std::string& reference, const std::string& at) const {
  if (reference.empty() || reference[0] != '#') {
    return refuse(
        at, "'" + reference + "' is in another document; only references that begin with # are followed");
  }
  const Json* here = &document_;
  std::size_t i = 1;
  if (i < reference.size() && reference[i] != '/') {
    return refuse(at, "'" + reference + "' is an anchor; only #/ paths are followed");
  }
  while (i < reference.size()) {
    std::string key;
    for (++i; i < reference.size() && reference[i] != '/'; ++i) {
      const std::string_view rest = std::string_view(reference).substr(i);
      if (rest.starts_with("~0") || rest.starts_with("~1")) {
        key += rest[1] == '0' ? '~' : '/';
        ++i;
      } else if (rest[0] == '%' && rest.size() > 2 && std::isxdigit(static_cast<unsigned char>(rest[1])) &&
                 std::isxdigit(static_cast<unsigned char>(rest[2]))) {
        key += static_cast<char>(std::stoi(std::string(rest.substr(1, 2)), nullptr, 16));
        i += 2;
      } else {
        key += rest[0];
      }
    }
    const Json* next = nullptr;
    if (here->is_object() && here->contains(key)) next = &(*here)[key];
    const bool number =
        !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == std::string::npos;
    if (here->is_array() && number && std::stoul(key) < here->size()) next = &(*here)[std::stoul(key)];
    if (next == nullptr)
      return wrong(at, "'" + reference + "' leads nowhere, expected a place in the schema");
    here = next;
  }
  return here;
}

Result<Json> SchemaDocument::inlined(Json schema, const std::string& at, std::size_t depth) {
  for (std::size_t n = 0;; ++n) {
    schema = without_nullable(std::move(schema));
    if (!schema.is_object() || !schema.contains("$ref")) return schema;
    if (!schema["$ref"].is_string()) return wrong(child_pointer(at, "$ref"), "expected a string");
    if (n + depth > limits_.max_references) {
      return refuse(at, "references lead on more than " + std::to_string(limits_.max_references) + " times");
    }
    KAKEYA_ASSIGN(const Json* target, resolve(schema["$ref"].get<std::string>(), at));
    KAKEYA_TRY(count(at, weight_of(*target)));
    schema.erase("$ref");
    if (!has_assertions(schema)) {
      schema = *target;
    } else {
      KAKEYA_ASSIGN(schema, merge(*target, std::move(schema), at, depth + 1));
    }
  }
}

}  // namespace kakeya::grammar
