#include "grammar/json_rules.h"

#include <algorithm>

namespace kakeya::grammar {
namespace {

constexpr std::uint32_t kMaxIndent = 20, kMaxDigits = 16, kMaxExponentDigits = 2;
const std::vector<CodeRange> kHex{{'0', '9'}, {'a', 'f'}, {'A', 'F'}};

}  // namespace

ExprId JsonRules::named(std::optional<RuleId>& slot, const char* name, ExprId (JsonRules::*make)()) {
  if (!slot) {
    slot = g_.add_rule(name);
    g_.define(*slot, (this->*make)());
  }
  return g_.call(*slot);
}

ExprId JsonRules::blank() { return named(blank_, "blank", &JsonRules::make_blank); }
ExprId JsonRules::string_char() { return named(char_, "char", &JsonRules::make_string_char); }
ExprId JsonRules::string() { return named(string_, "string", &JsonRules::make_string); }
ExprId JsonRules::number() { return named(number_, "number", &JsonRules::make_number); }
ExprId JsonRules::integer() { return named(integer_, "integer", &JsonRules::make_integer); }

ExprId JsonRules::make_blank() {
  const ExprId indent = g_.repeat(g_.one_of({{' ', ' '}, {'\t', '\t'}}), 0, kMaxIndent);
  return g_.alt({g_.empty(), g_.literal(" "), g_.seq({g_.literal("\n"), indent})});
}

// RFC 8259, section 7. \u escapes of surrogates only in pairs, so that every string is valid Unicode.
ExprId JsonRules::make_string_char() {
  if (plain_) return g_.none_of({});
  const auto hex = [&](std::uint32_t n) { return g_.repeat(g_.one_of(kHex), n, n); };
  const auto one = [&](std::vector<CodeRange> ranges) { return g_.one_of(std::move(ranges)); };
  const ExprId plain = g_.none_of({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}});
  const ExprId d = one({{'d', 'd'}, {'D', 'D'}});
  const ExprId other = one({{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}});
  const ExprId basic = g_.alt({g_.seq({other, hex(3)}), g_.seq({d, one({{'0', '7'}}), hex(2)})});
  const ExprId pair = g_.seq({d, one({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hex(2), g_.literal("\\u"),
                              one({{'d', 'd'}, {'D', 'D'}}), one({{'c', 'f'}, {'C', 'F'}}), hex(2)});
  std::vector<CodeRange> letters;
  for (const char c : std::string_view("\"\\/bfnrt")) {
    letters.push_back({static_cast<std::uint32_t>(c), static_cast<std::uint32_t>(c)});
  }
  const ExprId code = g_.seq({g_.literal("u"), g_.alt({basic, pair})});
  return g_.alt({plain, g_.seq({g_.literal("\\"), g_.alt({one(letters), code})})});
}

ExprId JsonRules::string_char_of(const std::vector<CodeRange>& ranges) {
  if (plain_) return g_.one_of(ranges);
  const auto has = [&](std::uint32_t code) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const CodeRange& r) { return r.low <= code && code <= r.high; });
  };
  // Complement of (complement of ranges, and what must be escaped).
  std::vector<CodeRange> out = complement(normalised(ranges));
  out.insert(out.end(), {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}});
  std::vector<std::string> escapes;
  if (has('"')) escapes.push_back("\\\"");
  if (has('\\')) escapes.push_back("\\\\");
  static constexpr char kDigits[] = "0123456789abcdef";
  for (std::uint32_t code = 0; code < 0x20; ++code) {
    if (!has(code)) continue;
    const std::size_t letter = std::string_view("\b\f\n\r\t").find(static_cast<char>(code));
    escapes.push_back(letter != std::string_view::npos
                          ? std::string("\\") + "bfnrt"[letter]
                          : std::string("\\u00") + kDigits[code >> 4] + kDigits[code & 15]);
  }
  const ExprId plain = g_.none_of(std::move(out));
  return escapes.empty() ? plain : g_.alt({plain, g_.any_text(escapes)});
}

ExprId JsonRules::make_string() { return string_of_length(0, kUnbounded); }

ExprId JsonRules::string_of_length(std::uint32_t min, std::uint32_t max) {
  return g_.seq({g_.literal("\""), g_.repeat(string_char(), min, max), g_.literal("\"")});
}

ExprId JsonRules::make_integer() {
  const ExprId rest = g_.repeat(g_.one_of({{'0', '9'}}), 0, kMaxDigits - 1);
  return g_.seq(
      {g_.optional(g_.literal("-")), g_.alt({g_.literal("0"), g_.seq({g_.one_of({{'1', '9'}}), rest})})});
}

ExprId JsonRules::make_number() {
  const auto digits = [&](std::uint32_t max) { return g_.repeat(g_.one_of({{'0', '9'}}), 1, max); };
  const ExprId fraction = g_.seq({g_.literal("."), digits(kMaxDigits)});
  const ExprId exponent =
      g_.seq({g_.one_of({{'e', 'e'}, {'E', 'E'}}), g_.optional(g_.one_of({{'+', '+'}, {'-', '-'}})),
              digits(kMaxExponentDigits)});
  return g_.seq({integer(), g_.optional(fraction), g_.optional(exponent)});
}

ExprId JsonRules::comma() { return g_.seq({g_.literal(","), blank()}); }
ExprId JsonRules::colon() { return g_.seq({g_.literal(":"), blank()}); }

ExprId JsonRules::wrapped(std::string_view open, ExprId body, std::string_view close) {
  return g_.seq({g_.literal(open), blank(), body, blank(), g_.literal(close)});
}

ExprId JsonRules::wrapped_or_empty(std::string_view open, ExprId body, std::string_view close) {
  // The blank after the body belongs to it: with nothing inside there is one blank, not two.
  return g_.seq({g_.literal(open), blank(), g_.optional(g_.seq({body, blank()})), g_.literal(close)});
}

ExprId JsonRules::any_object(int depth) {
  std::optional<RuleId>& slot = object_[static_cast<std::size_t>(depth)];
  if (!slot) {
    slot = g_.add_rule("object-" + std::to_string(depth));
    ExprId body = g_.alt({});  // at the last level only {} is left
    if (depth > 0) {
      const auto member = [&] { return g_.seq({string(), colon(), any_value(depth - 1)}); };
      body = g_.seq({member(), g_.repeat(g_.seq({comma(), member()}), 0, kUnbounded)});
    }
    g_.define(*slot, wrapped_or_empty("{", body, "}"));
  }
  return g_.call(*slot);
}

ExprId JsonRules::any_array(int depth) {
  std::optional<RuleId>& slot = array_[static_cast<std::size_t>(depth)];
  if (!slot) {
    slot = g_.add_rule("array-" + std::to_string(depth));
    ExprId body = g_.alt({});
    if (depth > 0) {
      const ExprId more = g_.repeat(g_.seq({comma(), any_value(depth - 1)}), 0, kUnbounded);
      body = g_.seq({any_value(depth - 1), more});
    }
    g_.define(*slot, wrapped_or_empty("[", body, "]"));
  }
  return g_.call(*slot);
}

ExprId JsonRules::any_value(int depth) {
  std::optional<RuleId>& slot = value_[static_cast<std::size_t>(depth)];
  if (!slot) {
    slot = g_.add_rule("value-" + std::to_string(depth));
    g_.define(*slot, g_.alt({any_object(depth), any_array(depth), string(), number(),
                             g_.any_text({"true", "false", "null"})}));
  }
  return g_.call(*slot);
}

}  // namespace kakeya::grammar
