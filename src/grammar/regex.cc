#include "grammar/regex.h"

#include <optional>
#include <string>

namespace kakeya::grammar {
namespace {

constexpr std::size_t kMaxNesting = 64, kMaxBytes = 16384;

using Ranges = std::vector<CodeRange>;

Ranges digits() { return {{'0', '9'}}; }
Ranges words() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }
// ECMA-262 WhiteSpace and LineTerminator.
Ranges spaces() {
  return {{9, 13},          {32, 32},         {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
          {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
}
Ranges line_ends() { return {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}; }

class RegexParser {
 public:
  RegexParser(std::string_view pattern, Grammar& grammar, JsonRules& json)
      : text_(pattern), g_(grammar), json_(json) {}

  Result<ExprId> parse() {
    KAKEYA_ASSIGN(const ExprId body, alternatives(0));
    if (at_ < text_.size()) return bad("an unmatched ')'");
    return body;
  }

 private:
  std::string where() const { return "pattern, byte " + std::to_string(at_) + ": "; }
  Error bad(const std::string& what) const { return invalid_argument(where() + what); }
  Error no(const std::string& what) const { return unsupported(where() + what + " cannot be kept"); }
  bool more() const { return at_ < text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool eat(std::string_view s) {
    if (text_.substr(at_, s.size()) != s) return false;
    at_ += s.size();
    return true;
  }
  ExprId chars(const Ranges& ranges) { return json_.string_char_of(ranges); }

  Result<ExprId> alternatives(std::size_t nesting) {
    if (nesting > kMaxNesting) return no("nesting beyond " + std::to_string(kMaxNesting) + " groups");
    std::vector<ExprId> branches;
    do {
      KAKEYA_ASSIGN(const ExprId branch, sequence(nesting));
      branches.push_back(branch);
    } while (eat("|"));
    return g_.alt(std::move(branches));
  }

  // Outside all groups, a branch without anchors may have anything before and after it.
  Result<ExprId> sequence(std::size_t nesting) {
    std::vector<ExprId> parts;
    const auto anything = [&] { return g_.repeat(json_.string_char(), 0, kUnbounded); };
    if (nesting == 0 && !eat("^")) parts.push_back(anything());
    bool closed = false;
    while (more() && peek() != '|' && peek() != ')') {
      if (peek() == '$') {
        const bool last = at_ + 1 == text_.size() || peek(1) == '|';
        if (nesting > 0 || !last) return no("'$' that is not at the end");
        ++at_;
        closed = true;
        break;
      }
      KAKEYA_ASSIGN(const ExprId atom, this->atom(nesting));
      KAKEYA_ASSIGN(const ExprId part, quantified(atom));
      parts.push_back(part);
    }
    if (nesting == 0 && !closed) parts.push_back(anything());
    return parts.empty() ? g_.empty() : g_.seq(std::move(parts));
  }

  Result<std::uint32_t> count() {
    std::uint64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
      if (value > kMaxCount) return no("a count above " + std::to_string(kMaxCount));
    }
    return static_cast<std::uint32_t>(value);
  }

  Result<ExprId> quantified(ExprId atom) {
    std::uint32_t min = 0, max = kUnbounded;
    if (eat("*")) {
    } else if (eat("+")) {
      min = 1;
    } else if (eat("?")) {
      max = 1;
    } else if (peek() == '{') {
      ++at_;
      if (peek() < '0' || peek() > '9') return bad("'{' without a count (a literal one is written \\{)");
      KAKEYA_ASSIGN(min, count());
      max = min;
      if (eat(",")) {
        max = kUnbounded;
        if (peek() >= '0' && peek() <= '9') {
          KAKEYA_ASSIGN(max, count());
        }
      }
      if (!eat("}")) return bad("expected '}'");
      if (max < min) return bad("the smaller count comes first");
    } else {
      return atom;
    }
    eat("?");  // lazy: the same texts match
    if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{') return bad("nothing to repeat");
    return g_.repeat(atom, min, max);
  }

  Result<ExprId> atom(std::size_t nesting) {
    switch (peek()) {
      case '(':
        return group(nesting);
      case '[': {
        KAKEYA_ASSIGN(const Ranges ranges, char_class());
        return chars(ranges);
      }
      case '.':
        ++at_;
        return chars(complement(normalised(line_ends())));
      case '^':
        return no("'^' that is not at the beginning");
      case '*':
      case '+':
      case '?':
      case '{':
        return bad("nothing to repeat");
      default: {
        KAKEYA_ASSIGN(const Ranges ranges, one_char());
        return chars(ranges);
      }
    }
  }

  Result<ExprId> group(std::size_t nesting) {
    ++at_;
    if (peek() == '?') {
      if (eat("?<") && peek() != '=' && peek() != '!') {
        while (more() && peek() != '>') ++at_;
        if (!eat(">")) return bad("expected '>'");
      } else if (!eat("?:")) {
        return no("lookaround");
      }
    }
    KAKEYA_ASSIGN(const ExprId body, alternatives(nesting + 1));
    if (!eat(")")) return bad("expected ')'");
    return body;
  }

  Result<std::uint32_t> hex(int digits) {
    std::uint32_t code = 0;
    for (; digits > 0; --digits, ++at_) {
      const char d = peek();
      const int value = d >= '0' && d <= '9'   ? d - '0'
                        : d >= 'a' && d <= 'f' ? d - 'a' + 10
                        : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                               : -1;
      if (value < 0) return bad("expected a hexadecimal digit");
      code = code << 4 | static_cast<std::uint32_t>(value);
    }
    return code;
  }

  // A literal character or an escape, inside and outside classes.
  Result<Ranges> one_char() {
    if (peek() == '\\') return escape();
    const auto lead = static_cast<std::uint8_t>(text_[at_]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
      code = code << 6 | (static_cast<std::uint8_t>(peek(i)) & 0x3fu);
    }
    at_ += length;  // the JSON parser saw to it that this is UTF-8
    return Ranges{{code, code}};
  }

  Result<Ranges> escape() {
    ++at_;
    if (!more()) return bad("a backslash at the end");
    const char c = text_[at_++];
    const auto single = [](std::uint32_t code) { return Ranges{{code, code}}; };
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return complement(normalised(digits()));
      case 'w':
        return words();
      case 'W':
        return complement(normalised(words()));
      case 's':
        return spaces();
      case 'S':
        return complement(normalised(spaces()));
      case 'n':
        return single('\n');
      case 'r':
        return single('\r');
      case 't':
        return single('\t');
      case 'f':
        return single('\f');
      case 'v':
        return single('\v');
      case '0':
        return single(0);
      case 'x': {
        KAKEYA_ASSIGN(const std::uint32_t code, hex(2));
        return single(code);
      }
      case 'u': {
        if (peek() == '{') return no("\\u{...}");
        KAKEYA_ASSIGN(const std::uint32_t code, hex(4));
        if (code >= 0xd800 && code <= 0xdfff) return no("a surrogate");
        return single(code);
      }
      default:
        break;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '1' && c <= '9');
    if (letter) return no(std::string("\\") + c);
    if (static_cast<std::uint8_t>(c) >= 0x80) {
      --at_;
      return one_char();
    }
    return single(static_cast<std::uint32_t>(c));
  }

  Result<Ranges> char_class() {
    ++at_;
    const bool negative = eat("^");
    Ranges out;
    while (!eat("]")) {
      if (!more()) return bad("expected ']'");
      if (text_.substr(at_, 2) == "\\b") {  // backspace, inside classes only
        at_ += 2;
        out.push_back({'\b', '\b'});
        continue;
      }
      KAKEYA_ASSIGN(const Ranges low, one_char());
      const bool is_one = low.size() == 1 && low[0].low == low[0].high;
      if (is_one && peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        ++at_;
        KAKEYA_ASSIGN(const Ranges high, one_char());
        if (high.size() != 1 || high[0].low != high[0].high || high[0].low < low[0].low) {
          return bad("a range in a class out of order");
        }
        out.push_back({low[0].low, high[0].low});
      } else {
        out.insert(out.end(), low.begin(), low.end());
      }
    }
    return negative ? complement(normalised(std::move(out))) : normalised(std::move(out));
  }

  std::string_view text_;
  Grammar& g_;
  JsonRules& json_;
  std::size_t at_ = 0;
};

}  // namespace

Result<ExprId> string_of_pattern(std::string_view pattern, Grammar& grammar, JsonRules& json) {
  if (pattern.size() > kMaxBytes) {
    return unsupported("pattern: found " + std::to_string(pattern.size()) + " bytes, expected at most " +
                       std::to_string(kMaxBytes));
  }
  return RegexParser(pattern, grammar, json).parse();
}

}  // namespace kakeya::grammar
