#include "grammar/gbnf.h"

#include <map>
#include <optional>

namespace kakeya::grammar {
namespace {

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

void append_utf8(std::string& out, std::uint32_t code) {
  for (const auto& sequence : utf8_sequences({code, code})) {
    for (const ByteRange& byte : sequence) out.push_back(static_cast<char>(byte.low));
  }
}

class Parser {
 public:
  Parser(std::string_view text, const GbnfLimits& limits) : text_(text), limits_(limits) {}

  Result<Grammar> parse() {
    skip(true);
    while (at_ < text_.size()) {
      KAKEYA_TRY(parse_rule());
      skip(true);
    }
    for (const auto& [name, use] : uses_) {
      if (g_.rules()[use.rule].body == kNoExpr) return fail(use.at, "rule '" + name + "' is not defined");
    }
    const auto root = uses_.find("root");
    if (root == uses_.end()) return fail(text_.size(), "no rule 'root', expected one to start with");
    g_.root = root->second.rule;
    return std::move(g_);
  }

 private:
  struct Use {
    RuleId rule;
    std::size_t at;  // first mention
  };

  Error fail(std::size_t at, const std::string& what) const {
    std::size_t line = 1, column = 1;
    for (std::size_t i = 0; i < at && i < text_.size(); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n';
    }
    return invalid_argument("grammar: line " + std::to_string(line) + ", column " + std::to_string(column) +
                            ": " + what);
  }
  std::string found() const {
    if (at_ >= text_.size()) return "found the end of the text";
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '\n' || c == '\r') return "found the end of the line";
    if (c < 0x20 || c >= 0x7f) return "found byte " + std::to_string(c);
    return std::string("found '") + text_[at_] + "'";
  }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool eat(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // Blanks and comments; line ends too where `lines`.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        break;
      }
    }
  }

  Result<std::string> parse_name() {
    const std::size_t from = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    if (at_ == from) return fail(at_, found() + ", expected the name of a rule");
    return std::string(text_.substr(from, at_ - from));
  }

  Result<RuleId> rule_id(const std::string& name, std::size_t at) {
    const auto known = uses_.find(name);
    if (known != uses_.end()) return known->second.rule;
    if (uses_.size() >= limits_.max_rules) {
      return unsupported("grammar: more than " + std::to_string(limits_.max_rules) + " rules");
    }
    const RuleId rule = g_.add_rule(name);
    uses_.emplace(name, Use{rule, at});
    return rule;
  }

  Status parse_rule() {
    const std::size_t start = at_;
    KAKEYA_ASSIGN(const std::string name, parse_name());
    skip(false);
    if (text_.substr(at_, 3) != "::=") return fail(at_, found() + ", expected '::='");
    at_ += 3;
    skip(true);
    KAKEYA_ASSIGN(const RuleId rule, rule_id(name, start));
    if (g_.rules()[rule].body != kNoExpr) return fail(start, "rule '" + name + "' is defined twice");
    KAKEYA_ASSIGN(const ExprId body, parse_alternatives(0));
    g_.define(rule, body);
    if (at_ < text_.size() && peek() != '\n' && peek() != '\r') {
      return fail(at_, found() + ", expected the end of the rule");
    }
    return {};
  }

  Result<ExprId> parse_alternatives(std::size_t nesting) {
    if (nesting > limits_.max_nesting) {
      return unsupported("grammar: parentheses nest deeper than " + std::to_string(limits_.max_nesting));
    }
    std::vector<ExprId> branches;
    for (;;) {
      KAKEYA_ASSIGN(const ExprId branch, parse_sequence(nesting));
      branches.push_back(branch);
      // A line that begins with '|' goes on with the rule above it.
      const std::size_t here = at_;
      skip(true);
      if (!eat('|')) {
        if (nesting == 0) at_ = here;
        return g_.alt(std::move(branches));
      }
      skip(true);
    }
  }

  Result<ExprId> parse_sequence(std::size_t nesting) {
    std::vector<ExprId> parts;
    for (;;) {
      skip(nesting > 0);
      std::optional<ExprId> part;
      const char c = peek();
      if (at_ < text_.size() && (c == '*' || c == '+' || c == '?' || c == '{')) {
        if (parts.empty()) return fail(at_, found() + ", expected something before it to repeat");
        KAKEYA_ASSIGN(parts.back(), parse_repeat(parts.back()));
        continue;
      }
      if (c == '"') {
        KAKEYA_ASSIGN(part, parse_literal());
      } else if (c == '[') {
        KAKEYA_ASSIGN(part, parse_class());
      } else if (c == '.') {
        ++at_;
        part = g_.none_of({});
      } else if (c == '(') {
        const std::size_t open = at_++;
        KAKEYA_ASSIGN(part, parse_alternatives(nesting + 1));
        skip(true);
        if (!eat(')'))
          return fail(at_, found() + ", expected ')' for the '(' at byte " + std::to_string(open));
      } else if (is_name(c)) {
        const std::size_t start = at_;
        KAKEYA_ASSIGN(const std::string name, parse_name());
        KAKEYA_ASSIGN(const RuleId rule, rule_id(name, start));
        part = g_.call(rule);
      } else {
        return parts.empty() ? g_.empty() : g_.seq(std::move(parts));
      }
      parts.push_back(*part);
    }
  }

  Result<std::uint32_t> parse_count() {
    const std::size_t from = at_;
    std::uint64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
      if (value > kMaxCount) return fail(from, "a count above " + std::to_string(kMaxCount));
    }
    if (at_ == from) return fail(at_, found() + ", expected a number");
    return static_cast<std::uint32_t>(value);
  }

  Result<ExprId> parse_repeat(ExprId part) {
    const std::size_t start = at_;
    const char c = text_[at_++];
    if (c == '*') return g_.repeat(part, 0, kUnbounded);
    if (c == '+') return g_.repeat(part, 1, kUnbounded);
    if (c == '?') return g_.repeat(part, 0, 1);
    skip(false);
    std::uint32_t min = 0;
    if (peek() != ',') {
      KAKEYA_ASSIGN(min, parse_count());
    }
    std::uint32_t max = min;
    skip(false);
    if (eat(',')) {
      skip(false);
      max = kUnbounded;
      if (peek() != '}') {
        KAKEYA_ASSIGN(max, parse_count());
      }
      skip(false);
    }
    if (!eat('}')) return fail(at_, found() + ", expected '}'");
    if (max < min)
      return fail(start, "the smaller count comes first: found {" + std::to_string(min) + "," +
                             std::to_string(max) + "}");
    return g_.repeat(part, min, max);
  }

  // One character of a literal or class. Raw bytes beyond ASCII must be UTF-8.
  Result<std::uint32_t> parse_char() {
    if (peek() == '\\') return parse_escape();
    const std::size_t start = at_;
    const auto lead = static_cast<std::uint8_t>(text_[at_++]);
    if (lead < 0x80) return std::uint32_t{lead};
    if (lead < 0xc2 || lead > 0xf4) return fail(start, "not UTF-8");
    const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    std::uint32_t code = lead & (0x3fu >> more);
    for (int i = 0; i < more; ++i) {
      if ((static_cast<std::uint8_t>(peek()) & 0xc0) != 0x80) return fail(start, "not UTF-8");
      code = code << 6 | (static_cast<std::uint8_t>(text_[at_++]) & 0x3fu);
    }
    return valid_code(code, start);
  }

  Result<std::uint32_t> valid_code(std::uint32_t code, std::size_t start) const {
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
      return fail(start, "found code point " + std::to_string(code) + ", expected one that UTF-8 has");
    }
    return code;
  }

  Result<std::uint32_t> parse_escape() {
    const std::size_t start = at_++;
    const char c = peek();
    ++at_;
    switch (c) {
      case 'n':
        return std::uint32_t{'\n'};
      case 'r':
        return std::uint32_t{'\r'};
      case 't':
        return std::uint32_t{'\t'};
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<std::uint32_t>(c);
      case 'x':
      case 'u':
      case 'U':
        break;
      default:
        return fail(start, "unknown escape, expected \\n \\r \\t \\\\ \\\" \\[ \\] \\x \\u or \\U");
    }
    std::uint32_t code = 0;
    for (int digits = c == 'x' ? 2 : c == 'u' ? 4 : 8; digits > 0; --digits) {
      const char d = peek();
      const int value = d >= '0' && d <= '9'   ? d - '0'
                        : d >= 'a' && d <= 'f' ? d - 'a' + 10
                        : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                               : -1;
      if (value < 0) return fail(at_, found() + ", expected a hexadecimal digit");
      code = code << 4 | static_cast<std::uint32_t>(value);
      ++at_;
    }
    return valid_code(code, start);
  }

  Result<ExprId> parse_literal() {
    const std::size_t start = at_++;
    std::string bytes;
    while (!eat('"')) {
      if (at_ >= text_.size()) return fail(start, "the literal does not end, expected '\"'");
      KAKEYA_ASSIGN(const std::uint32_t code, parse_char());
      append_utf8(bytes, code);
    }
    return g_.literal(bytes);
  }

  Result<ExprId> parse_class() {
    const std::size_t start = at_++;
    const bool negative = eat('^');
    std::vector<CodeRange> ranges;
    while (!eat(']')) {
      if (at_ >= text_.size()) return fail(start, "the class does not end, expected ']'");
      const std::size_t from = at_;
      KAKEYA_ASSIGN(const std::uint32_t low, parse_char());
      std::uint32_t high = low;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        ++at_;
        KAKEYA_ASSIGN(high, parse_char());
        if (high < low) return fail(from, "the smaller character of a range comes first");
      }
      ranges.push_back({low, high});
    }
    return negative ? g_.none_of(std::move(ranges)) : g_.one_of(std::move(ranges));
  }

  std::string_view text_;
  const GbnfLimits& limits_;
  std::size_t at_ = 0;
  Grammar g_;
  std::map<std::string, Use> uses_;
};

}  // namespace

Result<Grammar> parse_gbnf(std::string_view text, const GbnfLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return unsupported("grammar: found " + std::to_string(text.size()) + " bytes, expected at most " +
                       std::to_string(limits.max_bytes));
  }
  return Parser(text, limits).parse();
}

}  // namespace kakeya::grammar
