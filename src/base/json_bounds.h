// A look at untrusted JSON text before a parser sees it: how deep and how much. Values of the JSON library
// are copied and written by recursion, so depth is what fills the stack.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace kakeya::base {

struct JsonLimits {
  std::size_t max_depth = 64;                     // no honest file comes near it
  std::size_t max_values = std::size_t{4} << 20;  // a parsed value costs up to 100 bytes
};

// Errors: kCorruptData beyond the limits. One pass, no recursion, nothing allocated.
Status check_json_bounds(const std::string& name, std::string_view text, const JsonLimits& limits = {});

}  // namespace kakeya::base
