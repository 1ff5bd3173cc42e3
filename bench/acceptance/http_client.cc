#include "acceptance/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <array>
#include <memory>

namespace kakeya::acceptance {
namespace {

constexpr long kMaxRedirects = 3;

struct Transfer {
  const HttpRequest& request;
  std::string body;
  bool too_large = false;
};

std::size_t take_bytes(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t n = size * count;
  if (n > transfer.request.max_bytes - transfer.body.size()) {
    transfer.too_large = true;
    return 0;  // not what was offered: curl ends the transfer
  }
  transfer.body.append(data, n);
  return n;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(user);
  return transfer.request.cancelled && transfer.request.cancelled() ? 1 : 0;
}

bool is_loopback(const std::string& url) {
  for (const char* host : {"://127.0.0.1", "://localhost", "://[::1]"}) {
    if (url.find(host) != std::string::npos) return true;
  }
  return false;
}

void set_protocols(CURL* curl, bool https_only) {
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, https_only ? "https" : "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS,
                   https_only ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

void set_options(CURL* curl, const HttpRequest& request, Transfer& transfer, char* message) {
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, request.connect_ms);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request.total_ms);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "kakeya-llm");
  if (is_loopback(request.url)) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  set_protocols(curl, request.url.rfind("https://", 0) == 0);
  if (!request.bearer_token.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request.bearer_token.c_str());
  }
}

HttpOutcome failed(ErrorCode code, std::string message, bool may_pass) {
  HttpOutcome outcome;
  outcome.failed = true;
  outcome.failure = {{code, std::move(message)}, may_pass};
  return outcome;
}

bool may_pass_later(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string url_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || c == '/';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

HttpOutcome http_get(const HttpRequest& request) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
  if (curl == nullptr)
    return failed(ErrorCode::kNetwork, fmt::format("get {}: libcurl did not start", request.url), false);
  Transfer transfer{request, {}, false};
  std::array<char, CURL_ERROR_SIZE> message{};
  set_options(curl.get(), request, transfer, message.data());
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    return failed(ErrorCode::kCancelled, fmt::format("get {}: cancelled", request.url), false);
  }
  if (transfer.too_large) {
    return failed(ErrorCode::kNetwork,
                  fmt::format("get {}: found a body of more than {} bytes, expected at most that",
                              request.url, request.max_bytes),
                  false);
  }
  if (code != CURLE_OK) {
    return failed(ErrorCode::kNetwork,
                  fmt::format("get {}: {}", request.url,
                              message[0] != '\0' ? message.data() : curl_easy_strerror(code)),
                  may_pass_later(code));
  }
  HttpOutcome outcome;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &outcome.reply.status);
  curl_easy_getinfo(curl.get(), CURLINFO_RETRY_AFTER, &retry_after);
  outcome.reply.retry_after_s = static_cast<long>(retry_after);
  outcome.reply.body = std::move(transfer.body);
  return outcome;
}

}  // namespace kakeya::acceptance
