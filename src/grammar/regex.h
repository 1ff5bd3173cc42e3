// The `pattern` keyword: regular expressions (a subset of ECMA-262) as expressions over the characters of a
// JSON string. Nothing is matched by backtracking, and counts stay counts, so no pattern is catastrophic.
#pragma once
#include <kakeya/result.h>

#include <string_view>

#include "grammar/json_rules.h"

namespace kakeya::grammar {

// What stands between the quotes. A pattern that is not anchored may match anywhere in the string.
// Errors: kInvalidArgument (not a regular expression), kUnsupported (lookaround, back references, \b, anchors
// inside, \p), with the byte of the pattern.
Result<ExprId> string_of_pattern(std::string_view pattern, Grammar& grammar, JsonRules& json);

}  // namespace kakeya::grammar
