// Unicode normalisation form C of valid UTF-8.
#pragma once
#include <string>
#include <string_view>

namespace kakeya::text {

// Linear (n log n in runs of combining marks), whatever the text.
std::string normalize_nfc(std::string_view text);

}  // namespace kakeya::text
