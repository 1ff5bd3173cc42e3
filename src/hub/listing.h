// The text of a hub's listing of a repository, doubted.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hub/hub_api.h"

namespace kakeya::hub {

// `url` is named in errors. Errors: kCorruptData (an answer that cannot be: see list_files).
Result<HubListing> parse_listing(const std::string& text, const std::string& url);

// The files of a listing, one page of /api/models/ID/tree/COMMIT after the other.
class TreeReader {
 public:
  Status add(const std::string& text, const std::string& url);  // errors: as parse_listing
  std::vector<HubFile> take() { return std::move(files_); }

 private:
  friend Result<HubListing> parse_listing(const std::string& text, const std::string& url);
  Status keep(HubFile file, const std::string& url);

  std::vector<HubFile> files_;
  std::set<std::string> seen_;
  std::uint64_t bytes_ = 0;
};

// kCorruptData: "read URL: what".
Error listing_error(const std::string& url, std::string what);

// Foreign words for a message: at most `limit` bytes, '?' for what is not printable ASCII.
std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace kakeya::hub
