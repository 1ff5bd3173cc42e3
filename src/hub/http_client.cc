#include "hub/http_client.h"

#include <fmt/format.h>

#include "hub/curl_handle.h"

namespace kakeya::hub {
namespace {

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

std::string origin_of(const std::string& url) {
  const std::size_t host = url.find("://");
  if (host == std::string::npos) return {};
  std::string out = url.substr(0, url.find_first_of("/?#", host + 3));
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

HttpOutcome http_get(const HttpRequest& request) {
  CurlHandle curl(request.cancelled);
  if (!curl) {
    return failed_outcome(ErrorCode::kNetwork, fmt::format("get {}: libcurl did not start", request.url),
                          false);
  }
  Transfer transfer{request, {}, false};
  curl.set_address(request.url, request.bearer_token, request.connect_ms);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, request.total_ms);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_bytes);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  if (transfer.too_large) {
    return failed_outcome(ErrorCode::kNetwork,
                          fmt::format("get {}: found a body of more than {} bytes, expected at most that",
                                      request.url, request.max_bytes),
                          false);
  }
  if (code != CURLE_OK) return curl.failure(code, request.url);
  HttpOutcome outcome;
  outcome.reply = curl.reply();
  outcome.reply.body = std::move(transfer.body);
  return outcome;
}

}  // namespace kakeya::hub
