// Numbers between bounds as expressions over their digits, exactly.
#pragma once
#include <cstdint>
#include <optional>

#include "grammar/expr.h"

namespace kakeya::grammar {

struct IntegerBounds {
  std::optional<std::int64_t> low, high;  // inclusive
};

// Bounds are within +-10^15, what doubles and JavaScript agree on; an open side ends at 16 digits.
inline constexpr std::int64_t kLargestBound = 1'000'000'000'000'000;
inline constexpr std::int64_t kLargestOpenBound = 10'000'000;  // of numbers, see numbers_between

// Integers low..high without leading zeros. Nothing matches when low > high.
ExprId integers_between(const IntegerBounds& bounds, Grammar& grammar);

struct NumberBounds {
  std::optional<std::int64_t> low, high;
  bool low_open = false, high_open = false;  // the bound itself is outside
};
// Decimal numbers, without exponents, with up to 8 digits after the point.
ExprId numbers_between(const NumberBounds& bounds, Grammar& grammar);

}  // namespace kakeya::grammar
