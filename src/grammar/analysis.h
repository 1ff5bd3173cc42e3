// Which expressions can be empty, which can match at all, and which rules start with themselves.
#pragma once
#include <kakeya/result.h>

#include <vector>

#include "grammar/expr.h"

namespace kakeya::grammar {

struct Analysis {
  std::vector<bool> nullable, productive;            // by expression
  std::vector<bool> rule_nullable, rule_productive;  // by rule
};

// Errors: kInvalidArgument (left recursion), kUnsupported (nesting beyond max_depth).
Result<Analysis> analyse(const Grammar& grammar, std::size_t max_depth);

}  // namespace kakeya::grammar
