// The work behind schema.h: one document, one grammar. Only .cc files of this folder include it.
#pragma once
#include <deque>
#include <map>
#include <optional>

#include "grammar/json_rules.h"
#include "grammar/schema_json.h"

namespace kakeya::grammar {

class SchemaBuilder {
 public:
  SchemaBuilder(const Json& document, std::string name, Grammar& grammar, JsonRules& json)
      : document_(document, std::move(name), {}), g_(grammar), json_(json) {}

  // `schema` is a part of the document or made of its parts.
  Result<ExprId> build_root(const Json& schema);
  // The same value as it stands between XML tags, and `end` behind it: strings as they are, all else as JSON.
  // Where a string without limits is valid, that is any text without `end` in it. (schema_text.cc)
  Result<ExprId> build_text_root(const Json& schema, const std::string& at, std::string_view end);

 private:
  Status build_pending();
  Result<ExprId> build_text(const Json& schema, const std::string& at, std::string_view end,
                            std::size_t depth);
  Result<ExprId> build_text_choice(Json schema, const std::string& key, const std::string& at,
                                   std::string_view end, std::size_t depth);
  Result<ExprId> build_text_values(const Json& schema, const std::string& at, std::string_view end);
  Result<ExprId> build_text_types(const Json& schema, const std::string& at, std::string_view end,
                                  std::size_t depth);
  Result<ExprId> build(const Json& schema, const std::string& at, std::size_t depth);
  Result<ExprId> build_inlined(Json schema, const std::string& at, std::size_t depth);
  Result<ExprId> build_reference(const std::string& reference, const std::string& at);
  Result<ExprId> build_all_of(Json schema, const std::string& at, std::size_t depth);
  Result<ExprId> build_choice(Json schema, const std::string& key, const std::string& at, std::size_t depth);
  Result<ExprId> build_values(const Json& schema, const std::string& at);
  Result<ExprId> build_types(const Json& schema, const std::string& at, std::size_t depth);
  Status check_keywords(const Json& schema, const std::string& at) const;
  ExprId value(const Json& value);

  Result<ExprId> build_string(const Json& schema, const std::string& at);
  // The characters of a string in the spelling of `rules`; nothing where the schema sets no limits.
  Result<std::optional<ExprId>> string_content(const Json& schema, const std::string& at, JsonRules& rules);
  Result<std::vector<Json>> valid_values(const Json& schema, const std::string& at);  // of enum and const
  Result<ExprId> build_integer(const Json& schema, const std::string& at);
  Result<ExprId> build_number(const Json& schema, const std::string& at);
  // schema_containers.cc
  Result<ExprId> build_array(const Json& schema, const std::string& at, std::size_t depth);
  Result<ExprId> build_object(const Json& schema, const std::string& at, std::size_t depth);
  struct Member {
    std::string name;
    ExprId pair;  // "name": value
    bool required;
  };
  Result<std::vector<Member>> members(const Json& schema, const std::string& at, std::size_t depth);
  ExprId members_in_order(const std::vector<Member>& members, std::optional<ExprId> other_pair);
  ExprId other_key(const std::vector<std::string>& names);
  // A count such as minItems: `missing` when absent. Errors: kInvalidArgument, kUnsupported (a huge minimum).
  Result<std::uint32_t> count_of(const Json& schema, const std::string& key, std::uint32_t missing,
                                 const std::string& at) const;

  struct Pending {
    RuleId rule;
    std::string reference;
  };

  SchemaDocument document_;
  Grammar& g_;
  JsonRules& json_;
  std::map<std::string, RuleId> references_;
  std::deque<Pending> pending_;
};

}  // namespace kakeya::grammar
