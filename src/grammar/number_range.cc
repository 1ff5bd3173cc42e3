#include "grammar/number_range.h"

#include <algorithm>
#include <optional>
#include <string>

namespace kakeya::grammar {
namespace {

// Few enough that with a whole part below kLargestOpenBound a double tells them from the bound.
constexpr std::uint32_t kFraction = 8;
constexpr std::int64_t kAllDigits = 9'999'999'999'999'999;  // 16 digits

ExprId digit(Grammar& g, char low, char high) {
  return g.one_of({{static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high)}});
}
ExprId any_digits(Grammar& g, std::size_t n) {
  return g.repeat(digit(g, '0', '9'), static_cast<std::uint32_t>(n), static_cast<std::uint32_t>(n));
}

// Texts of equal length between low and high, digit by digit.
ExprId same_length(const std::string& low, const std::string& high, Grammar& g) {
  std::size_t common = 0;
  while (common < low.size() && low[common] == high[common]) ++common;
  const ExprId head = g.literal(low.substr(0, common));
  if (common == low.size()) return head;
  const std::size_t rest = low.size() - common - 1;
  std::vector<ExprId> branches;
  char first = low[common], last = high[common];
  const auto all = [&](const std::string& text, char c) {
    return text.find_first_not_of(c, common + 1) == std::string::npos;
  };
  if (!all(low, '0')) {
    const std::string tail = low.substr(common + 1);
    branches.push_back(g.seq({digit(g, first, first), same_length(tail, std::string(rest, '9'), g)}));
    ++first;
  }
  std::optional<ExprId> top;
  if (!all(high, '9')) {
    const std::string tail = high.substr(common + 1);
    top = g.seq({digit(g, last, last), same_length(std::string(rest, '0'), tail, g)});
    --last;
  }
  if (first <= last) branches.push_back(g.seq({digit(g, first, last), any_digits(g, rest)}));
  if (top) branches.push_back(*top);
  return g.seq({head, g.alt(std::move(branches))});
}

// 0 <= low.
ExprId natural(std::int64_t low, std::int64_t high, Grammar& g) {
  std::vector<ExprId> branches;
  while (low <= high) {
    std::int64_t last = 9;  // the largest with as many digits as `low`
    while (last < low) last = last * 10 + 9;
    last = std::min(last, high);
    branches.push_back(same_length(std::to_string(low), std::to_string(last), g));
    low = last + 1;
  }
  return g.alt(std::move(branches));
}

struct Side {  // magnitudes of one sign, low <= high
  std::int64_t low, high;
  bool low_open, high_open;
};

ExprId fraction(Grammar& g) { return g.seq({g.literal("."), g.repeat(digit(g, '0', '9'), 1, kFraction)}); }

ExprId zero_fraction(Grammar& g) {
  return g.optional(g.seq({g.literal("."), g.repeat(g.literal("0"), 1, kFraction)}));
}

ExprId positive_fraction(Grammar& g) {
  return g.seq({g.literal("."), g.repeat(g.literal("0"), 0, kFraction / 2), digit(g, '1', '9'),
                g.repeat(digit(g, '0', '9'), 0, kFraction / 2 - 1)});
}

ExprId magnitudes(const Side& s, Grammar& g) {
  std::vector<ExprId> branches;
  if (s.low < s.high) {
    // low.5 is inside; low itself only when it is not open.
    const ExprId tail = s.low_open ? positive_fraction(g) : g.optional(fraction(g));
    branches.push_back(g.seq({natural(s.low, s.low, g), tail}));
    if (s.low + 1 < s.high) {
      branches.push_back(g.seq({natural(s.low + 1, s.high - 1, g), g.optional(fraction(g))}));
    }
  }
  const bool end_inside = !s.high_open && (s.low < s.high || !s.low_open);
  if (end_inside) branches.push_back(g.seq({natural(s.high, s.high, g), zero_fraction(g)}));
  return g.alt(std::move(branches));
}

}  // namespace

ExprId integers_between(const IntegerBounds& bounds, Grammar& g) {
  const std::int64_t low = bounds.low.value_or(-kAllDigits), high = bounds.high.value_or(kAllDigits);
  std::vector<ExprId> branches;
  if (low < 0) {
    branches.push_back(g.seq({g.literal("-"), natural(std::max<std::int64_t>(1, -high), -low, g)}));
  }
  if (high >= 0) branches.push_back(natural(std::max<std::int64_t>(0, low), high, g));
  return g.alt(std::move(branches));
}

ExprId numbers_between(const NumberBounds& b, Grammar& g) {
  const std::int64_t low = b.low.value_or(-kAllDigits), high = b.high.value_or(kAllDigits);
  std::vector<ExprId> branches;
  if (low > high) return g.alt({});
  if (low < 0) {
    const bool ends_at_zero = high >= 0;  // then -0 is left to the other side
    const Side side{ends_at_zero ? 0 : -high, -low, ends_at_zero || b.high_open, b.low_open};
    branches.push_back(g.seq({g.literal("-"), magnitudes(side, g)}));
  }
  if (high >= 0) {
    const bool starts_at_zero = low < 0;
    const Side side{std::max<std::int64_t>(0, low), high, !starts_at_zero && b.low_open, b.high_open};
    branches.push_back(magnitudes(side, g));
  }
  return g.alt(std::move(branches));
}

}  // namespace kakeya::grammar
