// Reads grammars in llama.cpp's notation (GBNF). What it accepts: docs/formats/constraints.md.
#pragma once
#include <kakeya/result.h>

#include <string_view>

#include "grammar/expr.h"

namespace kakeya::grammar {

struct GbnfLimits {
  std::size_t max_bytes = std::size_t{1} << 20;
  std::size_t max_nesting = 256;
  std::size_t max_rules = 20000;
};

// Start symbol "root". Errors: kInvalidArgument with line and column, kUnsupported beyond the limits.
Result<Grammar> parse_gbnf(std::string_view text, const GbnfLimits& limits = {});

}  // namespace kakeya::grammar
