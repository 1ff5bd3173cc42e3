#include "hub/hub_errors.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "hub/json_text.h"
#include "hub/listing.h"

namespace kakeya::hub {
namespace {

constexpr long kUnauthorized = 401, kForbidden = 403, kNotFoundStatus = 404, kTooMany = 429;

// The server's own words: {"error": "..."}, X-Error-Message, or the beginning of the body.
std::string words_of(const HttpReply& reply) {
  const auto body = parse_json_text("the reply", reply.body);
  if (body.ok() && body->is_object() && body->contains("error") && (*body)["error"].is_string()) {
    return printable((*body)["error"].get_ref<const std::string&>());
  }
  return printable(reply.error_message.empty() ? reply.body.substr(0, 60) : reply.error_message);
}

std::string page_of(const HubAccess& access, const ModelId& id) {
  return base_of(access) + "/" + id.repository();
}

// What to do about a refusal of a hub that says why; empty when it does not.
std::string step_by_code(const HubAccess& access, const ModelId& id, const HttpReply& reply) {
  const std::string& code = reply.error_code;
  const bool token = !access.token.empty();
  if (code == "RevisionNotFound") return "no such revision: --revision takes a branch, tag or commit of it";
  if (code == "EntryNotFound") return "no such file in this revision";
  if (code == "GatedRepo" && !token) {
    return fmt::format(
        "the model is gated: accept its terms at {} and set HF_TOKEN to a token of that account",
        page_of(access, id));
  }
  if (code == "GatedRepo") {
    return fmt::format(
        "the model is gated and the token's account has no access: accept its terms at {}, or wait until its "
        "makers "
        "grant it; a fine-grained token also needs the right to read gated repositories",
        page_of(access, id));
  }
  if (reply.error_message == "Invalid credentials in Authorization header") {
    return fmt::format(
        "the token is not valid: make another at {}/settings/tokens and set HF_TOKEN, or take the "
        "old one away",
        base_of(access));
  }
  if (reply.error_message == "Access to this resource is disabled.") {
    return fmt::format("the hub has disabled this repository: {} says why", page_of(access, id));
  }
  if (code == "RepoNotFound") {
    return token ? "no such model, or a private one that the token's account cannot see: check the name"
                 : "no such model, or a private one: check the name, and set HF_TOKEN for a private one";
  }
  return {};
}

}  // namespace

std::string base_of(const HubAccess& access) {
  std::string base = access.endpoint;
  while (!base.empty() && base.back() == '/') base.pop_back();
  return base;
}

Error status_error(const HubAccess& access, const ModelId& id, const std::string& url,
                   const HttpReply& reply) {
  const std::string message =
      fmt::format("get {}: found status {} {}, expected 200", url, reply.status, words_of(reply));
  if (reply.elsewhere && reply.status >= 400 && reply.status < 500 && reply.error_code.empty()) {
    return {ErrorCode::kNetwork,
            message + "; it is the store that the hub led to which refuses, not the hub"};
  }
  if (const std::string step = step_by_code(access, id, reply); !step.empty()) {
    const bool absent = reply.error_code == "RepoNotFound" || reply.error_code == "RevisionNotFound" ||
                        reply.error_code == "EntryNotFound";
    return {absent ? ErrorCode::kNotFound : ErrorCode::kUnsupported, message + "; " + step};
  }
  if (reply.status == kNotFoundStatus) {
    return {ErrorCode::kNotFound, message + "; no such model, revision or file"};
  }
  if (reply.status == kTooMany && !reply.rate_limit.empty()) {
    return {ErrorCode::kNetwork,
            fmt::format("{}; the limit of requests of the kind '{}' is used up for {} s{}", message,
                        printable(reply.rate_limit, 40), reply.retry_after_s,
                        access.token.empty() ? ": HF_TOKEN gives a higher one" : "")};
  }
  if (reply.status != kUnauthorized && reply.status != kForbidden) return {ErrorCode::kNetwork, message};
  return {
      ErrorCode::kUnsupported,
      message +
          (access.token.empty()
               ? fmt::format(
                     "; no such model, or a private or gated one: accept its terms at {} and set HF_TOKEN",
                     page_of(access, id))
               : fmt::format("; the token gives no access: accept the terms at {} with its account",
                             page_of(access, id)))};
}

}  // namespace kakeya::hub
