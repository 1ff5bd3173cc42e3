#include "hub/hub_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace kakeya::hub {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxListing = std::size_t{32} << 20;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 50;  // more cannot be meant
constexpr std::size_t kShownWords = 200;

std::string base_of(const HubAccess& access) {
  std::string base = access.endpoint;
  while (!base.empty() && base.back() == '/') base.pop_back();
  return base;
}

std::string printable(std::string_view text, std::size_t limit = kShownWords) {
  std::string out;
  for (const char c : text.substr(0, limit)) {
    out += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f ? '?' : c;
  }
  return out;
}

// The server's own words when it sent {"error": "..."}.
std::string words_of(const std::string& body) {
  const json reply = json::parse(body, nullptr, false);
  if (reply.is_object() && reply.contains("error") && reply["error"].is_string()) {
    return printable(reply["error"].get_ref<const std::string&>());
  }
  return printable(body, 60);
}

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

}  // namespace

Error status_error(const HubAccess& access, const ModelId& id, const std::string& url,
                   const HttpReply& reply) {
  std::string message =
      fmt::format("get {}: found status {} {}, expected 200", url, reply.status, words_of(reply.body));
  if (reply.status == 404) return {ErrorCode::kNotFound, message + "; no such model, revision or file"};
  if (reply.status == 401 || reply.status == 403) {
    message += access.token.empty()
                   ? fmt::format(
                         "; no such model, or a private or gated one: accept its terms at {}/{} and set "
                         "HF_TOKEN",
                         base_of(access), id.repository())
                   : fmt::format("; the token gives no access: accept the terms at {}/{} with its account",
                                 base_of(access), id.repository());
  }
  return {ErrorCode::kNetwork, std::move(message)};
}

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
  Retry retry(access.retry, access.cancelled);
  for (;;) {
    const HttpRequest request{url,         access.token,    access.connect_ms, access.answer_ms,
                              kMaxListing, access.cancelled};
    const HttpOutcome outcome = http_get(request);
    if (!outcome.failed && outcome.reply.status == 200) return parse_listing(outcome.reply.body, url);
    const Error error = outcome.failed ? outcome.failure.error : status_error(access, id, url, outcome.reply);
    if (!outcome.failed && error.code == ErrorCode::kNotFound) return error;
    KAKEYA_TRY(retry.again(outcome, error.message));
  }
}

}  // namespace kakeya::hub
