// Untrusted JSON text -> nlohmann values with bounded nesting, and messages that are safe to print.
// Only .cc files of formats/ and text/ include this; no header of theirs shows the JSON library.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace kakeya::formats {

struct JsonLimits {
  std::size_t max_depth = 64;                     // no honest file comes near it
  std::size_t max_values = std::size_t{4} << 20;  // a parsed value costs up to 100 bytes
};

// Errors: kCorruptData beyond the limits. One pass, no recursion, nothing allocated.
Status check_json_bounds(const std::string& name, std::string_view text, const JsonLimits& limits = {});

// Errors: kCorruptData with the position of the first mistake. Of duplicate keys the last one wins.
Result<nlohmann::json> parse_json(const std::string& name, std::string_view text);
// The same with the order of keys kept.
Result<nlohmann::ordered_json> parse_ordered_json(const std::string& name, std::string_view text);

// `text` cut to a readable length, without control characters.
std::string printable(std::string_view text);
// What a JSON value is, for "found ..." in messages: `"abc"`, `3.5`, `an object`.
std::string describe(const nlohmann::json& value);

}  // namespace kakeya::formats
