// JSON Schema documents as values: reading, references, merging. Only .cc files of this folder include it.
#pragma once
#include <kakeya/result.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

namespace kakeya::grammar {

using Json = nlohmann::ordered_json;

struct SchemaLimits {
  std::size_t max_bytes = std::size_t{1} << 20;
  std::size_t max_depth = 64;       // of the JSON text
  std::size_t max_visits = 200000;  // schemas built, merged or compared, larger ones count for more
  std::size_t max_references = 64;  // one after the other, and schemas inside schemas
};

// Errors: kInvalidArgument (not JSON, with the byte), kUnsupported beyond the limits.
Result<Json> parse_schema_json(const std::string& name, std::string_view text, const SchemaLimits& limits);

enum class KeywordKind { kAssertion, kAnnotation, kRefused };
// Unknown keywords are annotations, as the specification says.
KeywordKind keyword_kind(const std::string& keyword);
bool has_assertions(const Json& schema);
// Types that `schema` speaks of: `type`, else what its keywords are about, else all. "integer" stands beside
// "number" only where the schema names it alone.
std::set<std::string> types_of(const Json& schema);
bool accepts_all(const Json& schema);  // true or {}: says nothing
// What copying and comparing cost, in units of schemas.
std::size_t weight_of(const Json& value);

// Works on one document: follows its references, counts the work.
class SchemaDocument {
 public:
  SchemaDocument(const Json& document, std::string name, const SchemaLimits& limits)
      : document_(document), name_(std::move(name)), limits_(limits) {}

  // A "#..." reference. Errors: kInvalidArgument (no such place), kUnsupported (another document).
  Result<const Json*> resolve(const std::string& reference, const std::string& at) const;
  // A schema that is valid for what is valid for both; `false` where nothing can be.
  Result<Json> merge(Json a, Json b, const std::string& at, std::size_t depth);
  // No text written for `a` (with its closed objects) is valid for `b`; false when that cannot be told.
  Result<bool> never_valid(const Json& a, const Json& b, std::size_t depth);
  // `nullable` as a type, `$ref` with neighbours as a merge; what is left has no `$ref`.
  Result<Json> inlined(Json schema, const std::string& at, std::size_t depth);

  Status count(const std::string& at, std::size_t weight = 1);
  Error refuse(const std::string& at, const std::string& what) const;
  Error wrong(const std::string& at, const std::string& what) const;
  const SchemaLimits& limits() const { return limits_; }

 private:
  Status merge_keyword(Json& out, const std::string& key, const Json& value, const std::string& at);
  Result<bool> merge_properties(Json& out, const Json& a, const Json& b, const std::string& at,
                                std::size_t depth);
  Result<bool> never_valid_object(const Json& a, const Json& b, std::size_t depth);

  const Json& document_;
  std::string name_;
  SchemaLimits limits_;
  std::size_t visits_ = 0;
};

// "#/a/b" + "c" -> "#/a/b/c", escaped as RFC 6901 says.
std::string child_pointer(const std::string& at, std::string_view key);
// {"type": T, "nullable": true} -> {"type": [T, "null"]}
Json without_nullable(Json schema);
bool names_required(const Json& schema, const std::string& property);

}  // namespace kakeya::grammar
