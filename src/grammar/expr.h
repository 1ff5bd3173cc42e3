// A grammar as a tree of expressions in one arena. What writes grammars (GBNF, JSON Schema) builds this;
// program.h turns it into the automaton.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::grammar {

using ExprId = std::uint32_t;
using RuleId = std::uint32_t;

inline constexpr std::uint32_t kUnbounded = 0xffffffff;
// Of a repetition, unless it is unbounded: more than any answer holds.
inline constexpr std::uint32_t kMaxCount = 1u << 30;
inline constexpr ExprId kNoExpr = 0xffffffff;

enum class ExprKind : std::uint8_t {
  kLiteral,  // bytes
  kClass,    // one code point out of ranges, as UTF-8
  kSeq,
  kAlt,      // without children: nothing matches
  kRepeat,   // one child, min to max times
  kRule,     // another rule
  kUntil,    // any bytes up to and including `bytes`
  kFreeEnd,  // any bytes without `bytes` inside, and the text may end at any of them
};

struct CodeRange {
  std::uint32_t low, high;
};

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  std::string bytes;
  std::vector<CodeRange> ranges;  // sorted, apart
  std::vector<ExprId> children;
  std::uint32_t min = 0, max = 0;
  RuleId rule = 0;
};

struct Rule {
  std::string name;
  ExprId body = kNoExpr;
};

class Grammar {
 public:
  ExprId literal(std::string_view bytes);
  // Ranges in any order; surrogates are left out because UTF-8 has none.
  ExprId one_of(std::vector<CodeRange> ranges);
  ExprId none_of(std::vector<CodeRange> ranges);
  ExprId seq(std::vector<ExprId> children);
  ExprId alt(std::vector<ExprId> children);
  ExprId repeat(ExprId child, std::uint32_t min, std::uint32_t max);
  ExprId optional(ExprId child) { return repeat(child, 0, 1); }
  ExprId until(std::string_view marker);
  ExprId free_end(std::string_view marker);
  ExprId call(RuleId rule);
  ExprId empty() { return literal({}); }
  // One of the texts, sharing common beginnings.
  ExprId any_text(const std::vector<std::string>& texts);

  RuleId add_rule(std::string name);
  void define(RuleId rule, ExprId body) { rules_[rule].body = body; }

  const Expr& expr(ExprId id) const { return exprs_[id]; }
  const std::vector<Expr>& exprs() const { return exprs_; }
  const std::vector<Rule>& rules() const { return rules_; }
  RuleId root = 0;

 private:
  ExprId add(Expr expr);
  ExprId add_texts(const std::vector<std::string>& sorted, std::size_t from, std::size_t to, std::size_t at);
  std::vector<Expr> exprs_;
  std::vector<Rule> rules_;
};

// Sorted, merged, without surrogates and what lies beyond U+10FFFF.
std::vector<CodeRange> normalised(std::vector<CodeRange> ranges);
std::vector<CodeRange> complement(const std::vector<CodeRange>& normal);

struct ByteRange {
  std::uint8_t low, high;
};
// Sequences of byte ranges that together match the UTF-8 forms of low..high.
std::vector<std::vector<ByteRange>> utf8_sequences(CodeRange range);

}  // namespace kakeya::grammar
