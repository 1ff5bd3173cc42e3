#include "hub/json_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_bounds.h"
#include "hub/listing.h"

namespace kakeya::hub {

Result<nlohmann::ordered_json> parse_json_text(const std::string& name, std::string_view text) {
  KAKEYA_TRY(base::check_json_bounds(name, text));
  try {
    return nlohmann::ordered_json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& error) {
    return corrupt_data(fmt::format("read {}: not valid JSON: {}", name, printable(error.what(), 120)));
  }
}

}  // namespace kakeya::hub
