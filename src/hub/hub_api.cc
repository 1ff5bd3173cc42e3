#include "hub/hub_api.h"

#include <fmt/format.h>

#include "hub/hub_errors.h"
#include "hub/listing.h"

namespace kakeya::hub {
namespace {

constexpr std::size_t kMaxListing = std::size_t{32} << 20;
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
    KAKEYA_TRY(retry.again(outcome, error));
  }
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
  TreeReader reader;
  for (std::size_t pages = 0; pages < kMostPages; ++pages) {
    KAKEYA_ASSIGN(const HttpReply reply, get(access, id, url));
    KAKEYA_TRY(reader.add(reply.body, url));
    if (reply.next_page.empty()) return reader.take();
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
