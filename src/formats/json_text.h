// Untrusted JSON text -> nlohmann values with bounded nesting, and messages that are safe to print.
// Only .cc files of formats/ and text/ include this; no header of theirs shows the JSON library.
#pragma once
#include <kakeya/result.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/json_bounds.h"

namespace kakeya::formats {

using base::check_json_bounds;
using base::JsonLimits;

// Errors: kCorruptData with the position of the first mistake. Of duplicate keys the last one wins.
Result<nlohmann::json> parse_json(const std::string& name, std::string_view text);
// The same with the order of keys kept.
Result<nlohmann::ordered_json> parse_ordered_json(const std::string& name, std::string_view text);

// `text` cut to a readable length, without control characters.
std::string printable(std::string_view text);
// What a JSON value is, for "found ..." in messages: `"abc"`, `3.5`, `an object`.
std::string describe(const nlohmann::json& value);

}  // namespace kakeya::formats
