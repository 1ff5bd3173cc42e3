// Which number does a worked answer end in? Text of a model in, one canonical number out: "1,234.50" ->
// "1234.5".
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "acceptance/grade.h"

namespace kakeya::acceptance {
namespace {

struct Number {
  std::string value;    // canonical
  std::size_t end = 0;  // first byte after it
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool digit_at(std::string_view s, std::size_t i) { return i < s.size() && is_digit(s[i]); }

std::size_t skip(std::string_view s, std::size_t i, std::string_view what) {
  return s.substr(std::min(i, s.size())).starts_with(what) ? i + what.size() : i;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t i = text.find(from); i != std::string::npos; i = text.find(from, done)) {
    out.append(text, done, i - done).append(to);
    done = i + from.size();
  }
  if (done > 0) text = out.append(text, done);
}

// "\frac{1}{2}" -> "1/2"; a numerator and denominator without brackets of their own.
std::string with_plain_fractions(const std::string& text) {
  constexpr std::string_view kHead = "\\frac{";
  constexpr std::size_t kLongest = 64;
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find(kHead); at != std::string::npos;
       at = text.find(kHead, std::max(at + 1, done))) {
    const std::string_view rest = std::string_view(text).substr(at + kHead.size(), kLongest);
    const std::size_t middle = rest.find("}{"),
                      end = middle == rest.npos ? rest.npos : rest.find('}', middle + 2);
    if (end == rest.npos) continue;
    out.append(text, done, at - done)
        .append(rest.substr(0, middle))
        .append("/")
        .append(rest.substr(middle + 2, end - middle - 2));
    done = at + kHead.size() + end + 1;
  }
  return out.append(text, done);
}

// "\frac{1}{2}" -> "1/2", "1{,}234\,\text{km}" -> "1,234\text{km}", "\$5" -> "$5".
std::string without_latex(std::string_view raw) {
  std::string text(raw);
  if (text.find('\\') == std::string::npos && text.find("{,}") == std::string::npos) return text;
  for (const char* gone : {"\\,", "\\!", "\\left", "\\right"}) replace_all(text, gone, "");
  replace_all(text, "{,}", ",");
  replace_all(text, "\\$", "$");
  replace_all(text, "\\%", "%");
  replace_all(text, "\\dfrac", "\\frac");
  replace_all(text, "\\tfrac", "\\frac");
  return with_plain_fractions(text);
}

// Whole digits and fraction digits without needless zeros.
std::string canonical(bool negative, std::string whole, std::string fraction) {
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (whole.empty()) whole = "0";
  std::string value = fraction.empty() ? whole : whole + "." + fraction;
  return negative && value != "0" ? "-" + value : value;
}

// a/b as a decimal when it ends, else reduced.
std::optional<std::string> quotient(bool negative, std::string_view a, std::string_view b) {
  constexpr std::size_t kMostDigits = 15;
  if (a.size() > kMostDigits || b.size() > kMostDigits) return std::nullopt;
  std::uint64_t top = std::stoull(std::string(a)), bottom = std::stoull(std::string(b));
  if (bottom == 0) return std::nullopt;
  const std::uint64_t common = std::gcd(top, bottom);
  top /= common;
  bottom /= common;
  const std::string whole = std::to_string(top / bottom);
  std::string fraction;
  std::uint64_t rest = top % bottom;
  while (rest != 0 && fraction.size() < kMostDigits) {
    rest *= 10;
    fraction += static_cast<char>('0' + rest / bottom);
    rest %= bottom;
  }
  if (rest == 0) return canonical(negative, whole, fraction);
  return (negative ? "-" : "") + std::to_string(top) + "/" + std::to_string(bottom);
}

// One to three digits, then groups of a comma and three: "1,234,567"; otherwise the digits alone.
std::string whole_digits(std::string_view s, std::size_t& i) {
  std::string digits;
  while (digit_at(s, i)) digits += s[i++];
  if (digits.empty() || digits.size() > 3) return digits;
  while (i < s.size() && s[i] == ',' && digit_at(s, i + 1) && digit_at(s, i + 2) && digit_at(s, i + 3) &&
         !digit_at(s, i + 4)) {
    digits += s.substr(i + 1, 3);
    i += 4;
  }
  return digits;
}

std::size_t skip_sign(std::string_view s, std::size_t i, bool& negative) {
  for (const char* minus : {"-", "\xE2\x88\x92"}) {  // the second is U+2212
    if (const std::size_t after = skip(s, i, minus); after != i) {
      negative = true;
      return after;
    }
  }
  return i;
}

std::size_t skip_currency(std::string_view s, std::size_t i) {
  for (const char* sign : {"$", "\xE2\x82\xAC", "\xC2\xA3"}) {
    if (const std::size_t after = skip(s, i, sign); after != i) return after;
  }
  return i;
}

// The number that starts exactly at `at`.
std::optional<Number> number_at(std::string_view s, std::size_t at) {
  const char c = s[at];
  if (!is_digit(c) && c != '-' && c != '$' && c != '.' && static_cast<unsigned char>(c) < 0x80)
    return std::nullopt;
  bool negative = false;
  std::size_t i = skip_sign(s, at, negative);
  if (negative && at > 0 && (std::isalnum(static_cast<unsigned char>(s[at - 1])) != 0 || s[at - 1] == ')'))
    return std::nullopt;  // 10-5
  i = skip_currency(s, i);
  if (!negative) i = skip_sign(s, i, negative);  // $-5
  const std::string whole = whole_digits(s, i);
  std::string fraction;
  if (i < s.size() && s[i] == '.' && digit_at(s, i + 1)) {
    for (++i; digit_at(s, i); ++i) fraction += s[i];
  }
  if (whole.empty() && fraction.empty()) return std::nullopt;
  if (fraction.empty() && i < s.size() && s[i] == '/' && digit_at(s, i + 1)) {
    std::size_t j = i + 1;
    while (digit_at(s, j)) ++j;
    if (j < s.size() && s[j] == '/' && digit_at(s, j + 1))
      return Number{canonical(negative, whole, ""), j + 1};  // a date
    if (j + 1 >= s.size() || s[j] != '.' || !digit_at(s, j + 1)) {
      if (auto value = quotient(negative, whole, s.substr(i + 1, j - i - 1))) return Number{*value, j};
    }
  }
  return Number{canonical(negative, whole, fraction), i};
}

std::optional<Number> first_number(std::string_view s, std::size_t& at) {
  for (at = 0; at < s.size(); ++at) {
    if (auto found = number_at(s, at)) return found;
  }
  return std::nullopt;
}

std::string last_number(std::string_view s) {
  std::string last;
  for (std::size_t i = 0; i < s.size();) {
    const auto found = number_at(s, i);
    if (found) last = found->value;
    i = found ? found->end : i + 1;
  }
  return last;
}

// "1. Compute", "2) Then", "3: next": the number counts headings.
bool is_heading(std::string_view after) {
  if (after.empty() || (after[0] != '.' && after[0] != ')' && after[0] != ':')) return false;
  after.remove_prefix(1);
  while (!after.empty() && (after[0] == ' ' || after[0] == '*')) after.remove_prefix(1);
  return !after.empty() && is_letter(after[0]);
}

// The number that a line after "####" announces: nothing but marks, or the word "answer", stands before it.
std::string announced_number(std::string_view line) {
  std::size_t at = 0;
  const auto found = first_number(line, at);
  if (!found || is_heading(line.substr(found->end))) return "";
  std::string before(line.substr(0, at));
  replace_all(before, "\\boxed", "");
  std::transform(before.begin(), before.end(), before.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool words = std::any_of(before.begin(), before.end(), is_letter);
  return words && before.find("answer") == std::string::npos ? "" : found->value;
}

// Of every line, what follows its last mark; a mark at the end of a line announces the next line that is not
// blank.
std::string after_mark(std::string_view s) {
  std::string value;
  bool expected = false;
  while (!s.empty()) {
    std::string_view line = s.substr(0, s.find('\n'));
    s.remove_prefix(std::min(line.size() + 1, s.size()));
    if (const std::size_t mark = line.rfind("####"); mark != line.npos) {
      line.remove_prefix(mark + 4);
      expected = true;
    }
    if (!expected || line.find_first_not_of(" \t\r*") == line.npos) continue;
    expected = false;
    if (std::string found = announced_number(line); !found.empty()) value = std::move(found);
  }
  return value;
}

// What the last \boxed{...} holds: after its last "=", the first number.
std::string boxed(std::string_view s) {
  const std::size_t start = s.rfind("\\boxed{");
  if (start == s.npos) return "";
  std::size_t end = start + 7;
  for (int open = 1; end < s.size(); ++end) {
    open += s[end] == '{' ? 1 : s[end] == '}' ? -1 : 0;
    if (open == 0) break;
  }
  std::string_view inside = s.substr(start + 7, end - start - 7);
  if (const std::size_t equals = inside.rfind('='); equals != inside.npos) inside.remove_prefix(equals + 1);
  std::size_t at = 0;
  const auto found = first_number(inside, at);
  return found ? found->value : "";
}

}  // namespace

std::string final_number(const std::string& output) {
  std::string_view answer = output;
  if (const std::size_t end = answer.rfind("</think>"); end != answer.npos) answer.remove_prefix(end + 8);
  const std::string text = without_latex(answer);
  if (std::string value = after_mark(text); !value.empty()) return value;
  if (std::string value = boxed(text); !value.empty()) return value;
  return last_number(text);
}

}  // namespace kakeya::acceptance
