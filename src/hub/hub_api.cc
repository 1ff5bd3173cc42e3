#include "hub/hub_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "hub/hub_errors.h"

namespace kakeya::hub {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxListing = std::size_t{32} << 20;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 50;  // more cannot be meant
// From here on the pages of /tree are read: they are how huggingface_hub lists repositories of any size.
constexpr std::size_t kManyFiles = 1000;
constexpr std::size_t kMostPages = 1000;

Status check_access(const HubAccess& access) {
  const bool https = access.endpoint.rfind("https://", 0) == 0;
  if (!https && access.endpoint.rfind("http://", 0) != 0) {
    return invalid_argument(
        fmt::format("hub address: found '{}', expected http:// or https://", printable(access.endpoint, 80)));
  }
  const std::string host = access.endpoint.substr(access.endpoint.find("://") + 3);
  const std::string name = host.substr(0, host.find_first_of(host.rfind('[', 0) == 0 ? "/" : ":/"));
  const bool here = name == "127.0.0.1" || name == "localhost" || name.rfind("[::1]", 0) == 0;
  if (!https && !here && !access.token.empty()) {
    return invalid_argument(fmt::format(
        "hub address: found '{}' and a token, expected https:// (a token is not sent unencrypted)",
        printable(access.endpoint, 80)));
  }
  return {};
}

bool is_hex(const json& value, std::size_t digits) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Error listing_error(const std::string& url, std::string what) {
  return {ErrorCode::kNetwork, fmt::format("read {}: {}", url, std::move(what))};
}

Result<HubFile> parse_file(const json& item, const std::string& url) {
  if (!item.is_object() || !item.contains("rfilename") || !item["rfilename"].is_string()) {
    return listing_error(url, "a file has no name, expected \"rfilename\"");
  }
  HubFile file;
  file.path = item["rfilename"].get<std::string>();
  if (!is_safe_path(file.path)) {
    return listing_error(url, fmt::format("found the file name '{}', expected a path below the repository",
                                          printable(file.path, 80)));
  }
  const json lfs = item.contains("lfs") ? item["lfs"] : json();
  const json size = lfs.is_object() && lfs.contains("size") ? lfs["size"] : item.value("size", json());
  if (!size.is_number_unsigned() || size.get<std::uint64_t>() > kMaxFileBytes) {
    return listing_error(url, fmt::format("{}: no usable size, expected the number of bytes", file.path));
  }
  file.size = size.get<std::uint64_t>();
  if (lfs.is_object()) {
    const json digest = lfs.contains("sha256") ? lfs["sha256"] : lfs.value("oid", json());
    if (!is_hex(digest, 64)) return listing_error(url, file.path + ": no sha256, expected 64 hex digits");
    file.sha256 = digest.get<std::string>();
  } else {
    const json oid = item.value("blobId", json());
    if (!is_hex(oid, 40)) return listing_error(url, file.path + ": no blobId, expected 40 hex digits");
    file.git_oid = oid.get<std::string>();
  }
  return file;
}

Result<HubListing> parse_listing(const std::string& text, const std::string& url) {
  const json reply = json::parse(text, nullptr, false);
  if (!reply.is_object() || !reply.contains("siblings") || !reply["siblings"].is_array()) {
    return listing_error(
        url, fmt::format("found '{}', expected an object with a list \"siblings\"", printable(text, 60)));
  }
  HubListing listing;
  if (!is_hex(reply.value("sha", json()), 40)) {
    return listing_error(url, "field \"sha\": expected a commit of 40 hex digits");
  }
  listing.commit = reply["sha"].get<std::string>();
  std::set<std::string> seen;
  for (const json& item : reply["siblings"]) {
    KAKEYA_ASSIGN(HubFile file, parse_file(item, url));
    if (!seen.insert(file.path).second) return listing_error(url, file.path + " is listed twice");
    listing.files.push_back(std::move(file));
  }
  return listing;
}

// One answer of the hub with status 200, tried again as the policy says.
Result<HttpReply> get(const HubAccess& access, const ModelId& id, const std::string& url) {
  Retry retry(access.retry, access.cancelled);
  for (;;) {
    const HttpRequest request{url,         access.token,    access.connect_ms, access.answer_ms,
                              kMaxListing, access.cancelled};
    HttpOutcome outcome = http_get(request);
    if (!outcome.failed && outcome.reply.status == 200) return std::move(outcome.reply);
    const Error error = outcome.failed ? outcome.failure.error : status_error(access, id, url, outcome.reply);
    if (!outcome.failed && error.code == ErrorCode::kNotFound) return error;
    KAKEYA_TRY(retry.again(outcome, error.message));
  }
}

// An item of /tree: "path", "oid" and "lfs": {"oid"} where a sibling has "rfilename", "blobId" and "sha256".
Result<HubFile> parse_tree_file(const json& item, const std::string& url) {
  json sibling = {{"rfilename", item.value("path", json())},
                  {"size", item.value("size", json())},
                  {"blobId", item.value("oid", json())}};
  if (item.contains("lfs")) sibling["lfs"] = item["lfs"];
  return parse_file(sibling, url);
}

// The address of the next page, which the token goes to: of this hub alone. Mirrors hand out the addresses of
// the hub that they mirror.
Result<std::string> next_page(const HubAccess& access, const std::string& url, std::string next) {
  constexpr std::string_view kPublicHub = "https://huggingface.co";
  if (next.rfind('/', 0) == 0) return base_of(access) + next;
  if (origin_of(next) == kPublicHub) return base_of(access) + next.substr(kPublicHub.size());
  if (origin_of(next) == origin_of(base_of(access))) return next;
  return listing_error(url, fmt::format("found the next page at '{}', expected one of {}",
                                        printable(next, 80), base_of(access)));
}

Result<std::vector<HubFile>> list_tree(const HubAccess& access, const ModelId& id,
                                       const std::string& commit) {
  std::string url =
      fmt::format("{}/api/models/{}/tree/{}?recursive=true", base_of(access), id.repository(), commit);
  std::vector<HubFile> files;
  std::set<std::string> seen;
  for (std::size_t pages = 0; pages < kMostPages; ++pages) {
    KAKEYA_ASSIGN(const HttpReply reply, get(access, id, url));
    const json items = json::parse(reply.body, nullptr, false);
    if (!items.is_array()) {
      return listing_error(url,
                           fmt::format("found '{}', expected a list of files", printable(reply.body, 60)));
    }
    for (const json& item : items) {
      if (!item.is_object())
        return listing_error(url, "an item is no object, expected files and directories");
      if (item.value("type", json()) == "directory") continue;
      KAKEYA_ASSIGN(HubFile file, parse_tree_file(item, url));
      if (!seen.insert(file.path).second) return listing_error(url, file.path + " is listed twice");
      files.push_back(std::move(file));
    }
    if (reply.next_page.empty()) return files;
    KAKEYA_ASSIGN(url, next_page(access, url, reply.next_page));
  }
  return listing_error(url, fmt::format("found more than {} pages, expected an end", kMostPages));
}

}  // namespace

std::string file_url(const HubAccess& access, const ModelId& id, const std::string& commit,
                     const std::string& path) {
  return fmt::format("{}/{}/resolve/{}/{}", base_of(access), id.repository(), commit, url_escaped(path));
}

Result<HubListing> list_files(const HubAccess& access, const ModelId& id, const std::string& revision) {
  KAKEYA_TRY(check_access(access));
  if (!is_revision(revision)) {
    return invalid_argument(
        fmt::format("revision: found '{}', expected a branch, tag or commit", printable(revision, 80)));
  }
  std::string escaped;  // a branch with a slash is one part of the address
  for (const char c : revision) escaped += c == '/' ? std::string("%2F") : std::string(1, c);
  const std::string url =
      fmt::format("{}/api/models/{}/revision/{}?blobs=true", base_of(access), id.repository(), escaped);
  KAKEYA_ASSIGN(const HttpReply reply, get(access, id, url));
  KAKEYA_ASSIGN(HubListing listing, parse_listing(reply.body, url));
  if (listing.files.size() < kManyFiles) return listing;
  KAKEYA_ASSIGN(listing.files, list_tree(access, id, listing.commit));
  return listing;
}

}  // namespace kakeya::hub
