#include "hub/hub_api.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "hub/listing.h"

namespace kakeya::hub {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxListing = std::size_t{32} << 20;

std::string base_of(const HubAccess& access) {
  std::string base = access.endpoint;
  while (!base.empty() && base.back() == '/') base.pop_back();
  return base;
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
