// Untrusted JSON text -> values, for the folders that may not include formats/: apps/, bench/ and this one.
#pragma once
#include <kakeya/result.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace kakeya::hub {

// Order of keys kept, of duplicates the last one wins. Errors: kCorruptData: nested too deeply, too many
// values, no JSON; `name` says of what.
Result<nlohmann::ordered_json> parse_json_text(const std::string& name, std::string_view text);

}  // namespace kakeya::hub
