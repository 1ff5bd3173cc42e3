// The text of a hub's listing of a repository, doubted.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <string_view>

#include "hub/hub_api.h"

namespace kakeya::hub {

// `url` is named in errors. Errors: kNetwork (an answer that cannot be: see list_files).
Result<HubListing> parse_listing(const std::string& text, const std::string& url);

// Foreign words for a message: at most `limit` bytes, '?' for what is not printable ASCII.
std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace kakeya::hub
