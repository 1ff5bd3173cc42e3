#include "hub/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kakeya::hub {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 50;  // more cannot be meant, of one file or of all

// Pointers, not copies: copying recurses, and how deep a value is nested is the hub's to say.
const json* member(const json& object, const char* name) {
  const auto at = object.find(name);
  return at == object.end() ? nullptr : &*at;
}

bool is_hex(const json* value, std::size_t digits) {
  if (value == nullptr || !value->is_string()) return false;
  const auto& text = value->get_ref<const std::string&>();
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// How the two listings name what they say of a file.
struct Names {
  const char *path, *git_oid;
};
constexpr Names kSibling = {"rfilename", "blobId"}, kTreeItem = {"path", "oid"};

Result<HubFile> parse_file(const json& item, const Names& names, const std::string& url) {
  const json* name = item.is_object() ? member(item, names.path) : nullptr;
  if (name == nullptr || !name->is_string()) {
    return listing_error(url, fmt::format("a file has no name, expected \"{}\"", names.path));
  }
  HubFile file;
  file.path = name->get<std::string>();
  if (!is_safe_path(file.path)) {
    return listing_error(url, fmt::format("found the file name '{}', expected a path below the repository",
                                          printable(file.path, 80)));
  }
  const json* lfs = member(item, "lfs");
  if (lfs != nullptr && !lfs->is_object()) lfs = nullptr;
  const json* size = lfs != nullptr ? member(*lfs, "size") : nullptr;
  if (size == nullptr) size = member(item, "size");
  if (size == nullptr || !size->is_number_unsigned() || size->get<std::uint64_t>() > kMaxBytes) {
    return listing_error(url, fmt::format("{}: no usable size, expected the number of bytes", file.path));
  }
  file.size = size->get<std::uint64_t>();
  if (lfs != nullptr) {
    const json* digest = member(*lfs, "sha256");
    if (digest == nullptr) digest = member(*lfs, "oid");
    if (!is_hex(digest, 64)) return listing_error(url, file.path + ": no sha256, expected 64 hex digits");
    file.sha256 = digest->get<std::string>();
  } else {
    const json* oid = member(item, names.git_oid);
    if (!is_hex(oid, 40)) {
      return listing_error(url, fmt::format("{}: no {}, expected 40 hex digits", file.path, names.git_oid));
    }
    file.git_oid = oid->get<std::string>();
  }
  return file;
}

}  // namespace

Error listing_error(const std::string& url, std::string what) {
  return corrupt_data(fmt::format("read {}: {}", url, std::move(what)));
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text.substr(0, limit)) {
    out += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f ? '?' : c;
  }
  return out;
}

Result<HubListing> parse_listing(const std::string& text, const std::string& url) {
  const json reply = json::parse(text, nullptr, false);
  const json* siblings = reply.is_object() ? member(reply, "siblings") : nullptr;
  if (siblings == nullptr || !siblings->is_array()) {
    return listing_error(
        url, fmt::format("found '{}', expected an object with a list \"siblings\"", printable(text, 60)));
  }
  HubListing listing;
  const json* commit = member(reply, "sha");
  if (!is_hex(commit, 40)) {
    return listing_error(url, "field \"sha\": expected a commit of 40 hex digits");
  }
  listing.commit = commit->get<std::string>();
  TreeReader reader;
  for (const json& item : *siblings) {
    KAKEYA_ASSIGN(HubFile file, parse_file(item, kSibling, url));
    KAKEYA_TRY(reader.keep(std::move(file), url));
  }
  listing.files = reader.take();
  return listing;
}

Status TreeReader::keep(HubFile file, const std::string& url) {
  if (!seen_.insert(file.path).second) return listing_error(url, file.path + " is listed twice");
  bytes_ += file.size;
  if (bytes_ > kMaxBytes) return listing_error(url, "found more bytes in all than can be meant");
  files_.push_back(std::move(file));
  return {};
}

Status TreeReader::add(const std::string& text, const std::string& url) {
  const json items = json::parse(text, nullptr, false);
  if (!items.is_array()) {
    return listing_error(url, fmt::format("found '{}', expected a list of files", printable(text, 60)));
  }
  for (const json& item : items) {
    const json* type = item.is_object() ? member(item, "type") : nullptr;
    if (!item.is_object()) return listing_error(url, "an item is no object, expected files and directories");
    if (type != nullptr && *type == "directory") continue;
    KAKEYA_ASSIGN(HubFile file, parse_file(item, kTreeItem, url));
    KAKEYA_TRY(keep(std::move(file), url));
  }
  return {};
}

}  // namespace kakeya::hub
