// Expressions for JSON itself: blanks, strings, numbers, any value. What all schemas are made of.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/expr.h"

namespace kakeya::grammar {

// How deep values may nest where a schema says nothing about them.
inline constexpr int kAnyDepth = 32;

class JsonRules {
 public:
  explicit JsonRules(Grammar& grammar) : g_(grammar) {}
  // The characters of plain text instead of those between the quotes of a JSON string: nothing is escaped.
  static JsonRules of_plain_text(Grammar& grammar) {
    JsonRules rules(grammar);
    rules.plain_ = true;
    return rules;
  }

  // Nothing, one space, or a line end with at most 20 blanks: enough for every usual layout, and no room to
  // write blanks for ever.
  ExprId blank();
  // One character of a string, escapes included; counts as one for lengths.
  ExprId string_char();
  // The same for code points out of `ranges` only, escaped only where JSON asks for it.
  ExprId string_char_of(const std::vector<CodeRange>& ranges);
  ExprId string();
  ExprId string_of_length(std::uint32_t min, std::uint32_t max);
  // Up to 16 digits on both sides of the point and two of an exponent: what a double can tell apart.
  ExprId number();
  ExprId integer();
  ExprId any_value(int depth);
  ExprId any_object(int depth);
  ExprId any_array(int depth);
  // "{" members "}" and "[" items "]" with blanks inside.
  ExprId wrapped(std::string_view open, ExprId body, std::string_view close);
  // The same, or nothing inside.
  ExprId wrapped_or_empty(std::string_view open, ExprId body, std::string_view close);
  ExprId comma();  // with the blank after it
  ExprId colon();

  ExprId named(std::optional<RuleId>& slot, const char* name, ExprId (JsonRules::*make)());

 private:
  ExprId make_blank();
  ExprId make_string_char();
  ExprId make_string();
  ExprId make_number();
  ExprId make_integer();

  Grammar& g_;
  bool plain_ = false;
  std::optional<RuleId> blank_, char_, string_, number_, integer_;
  std::array<std::optional<RuleId>, kAnyDepth + 1> value_, object_, array_;
};

}  // namespace kakeya::grammar
