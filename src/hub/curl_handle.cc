#include "hub/curl_handle.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include "hub/listing.h"

namespace kakeya::hub {
namespace {

constexpr long kMaxRedirects = 4;  // a hub's file: moved repository, store, signed address

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& cancelled = *static_cast<const std::function<bool()>*>(user);
  return cancelled && cancelled() ? 1 : 0;
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

bool may_pass_later(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

bool is_linked(std::string_view name) { return name == "x-linked-size" || name == "x-linked-etag"; }

// Of `"api";r=0;t=55` (draft-ietf-httpapi-ratelimit-headers): what is counted, what remains, seconds to the
// reset.
struct RateLimit {
  std::string name;
  long remaining = 0, reset_s = 0;
};
std::optional<RateLimit> parse_rate_limit(std::string_view text) {
  const auto quote = text.find('"'), end = text.find('"', quote + 1);
  if (quote == std::string_view::npos || end == std::string_view::npos) return std::nullopt;
  const auto value = [&](std::string_view key) -> std::optional<long> {
    for (auto at = text.find(';', end); at != std::string_view::npos; at = text.find(';', at + 1)) {
      const std::string_view part = text.substr(at + 1, text.find(';', at + 1) - at - 1);
      const std::size_t equals = part.find('=');
      if (equals == std::string_view::npos || trimmed(part.substr(0, equals)) != key) continue;
      const std::string digits = trimmed(part.substr(equals + 1));
      long number = 0;
      const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (read.ec == std::errc() && number >= 0) return number;
    }
    return std::nullopt;
  };
  const auto remaining = value("r"), reset = value("t");
  if (!remaining || !reset) return std::nullopt;
  return RateLimit{std::string(text.substr(quote + 1, end - quote - 1)), *remaining, *reset};
}

// Of `<https://...>; rel="next", <...>; rel="last"` the address that comes next.
std::string next_of(std::string_view link) {
  while (!link.empty()) {
    const auto open = link.find('<'), close = link.find('>', open);
    if (open == std::string_view::npos || close == std::string_view::npos) return {};
    const auto following = link.find('<', close);
    const std::string_view parameters = link.substr(close, following - close);
    if (parameters.find("rel=\"next\"") != std::string_view::npos ||
        parameters.find("rel=next") != std::string_view::npos) {
      return std::string(link.substr(open + 1, close - open - 1));
    }
    if (following == std::string_view::npos) return {};
    link.remove_prefix(following);
  }
  return {};
}

// libcurl asks for one call before any thread uses it.
bool start_curl() {
  static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return started;
}

}  // namespace

HttpOutcome failed_outcome(ErrorCode code, std::string message, bool may_pass) {
  HttpOutcome outcome;
  outcome.failed = true;
  outcome.failure = {{code, std::move(message)}, may_pass};
  return outcome;
}

CurlHandle::CurlHandle(const std::function<bool()>& cancelled)
    : curl_(start_curl() ? curl_easy_init() : nullptr, &curl_easy_cleanup) {
  if (curl_ == nullptr) return;
  curl_easy_setopt(get(), CURLOPT_ERRORBUFFER, message_.data());
  curl_easy_setopt(get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(get(), CURLOPT_USERAGENT, "kakeya-llm");
  curl_easy_setopt(get(), CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(get(), CURLOPT_XFERINFODATA, &cancelled);
  curl_easy_setopt(get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(get(), CURLOPT_HEADERFUNCTION, &CurlHandle::take_header);
  curl_easy_setopt(get(), CURLOPT_HEADERDATA, this);
  // Sizes, ranges and digests are of the files themselves.
  curl_easy_setopt(get(), CURLOPT_ACCEPT_ENCODING, "identity");
}

std::size_t CurlHandle::take_header(char* data, std::size_t size, std::size_t count, void* user) {
  constexpr std::size_t kMost = 128, kLongest = 8192;
  auto& headers = static_cast<CurlHandle*>(user)->headers_;
  const std::string_view line(data, size * count);
  if (line.rfind("HTTP/", 0) == 0) {
    std::erase_if(headers, [](const auto& entry) { return !is_linked(entry.first); });
    return size * count;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || headers.size() >= kMost || line.size() > kLongest)
    return size * count;
  const std::string name = lower(line.substr(0, colon));
  if (is_linked(name) && headers.contains(name)) return size * count;
  headers[name] = trimmed(line.substr(colon + 1));
  return size * count;
}

std::string CurlHandle::header(const std::string& name) const {
  const auto found = headers_.find(name);
  return found == headers_.end() ? "" : found->second;
}

void CurlHandle::set_address(const std::string& url, const std::string& bearer_token, long connect_ms) {
  url_ = url;
  curl_easy_setopt(get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(get(), CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
  curl_easy_setopt(get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(get(), CURLOPT_MAXREDIRS, kMaxRedirects);
  if (is_loopback(url)) curl_easy_setopt(get(), CURLOPT_NOPROXY, "*");
  set_protocols(get(), url.rfind("https://", 0) == 0);
  if (bearer_token.empty()) return;
  curl_easy_setopt(get(), CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
  curl_easy_setopt(get(), CURLOPT_XOAUTH2_BEARER, bearer_token.c_str());
}

HttpOutcome CurlHandle::failure(CURLcode code, const std::string& url) const {
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    return failed_outcome(ErrorCode::kCancelled, fmt::format("get {}: cancelled", url), false);
  }
  return failed_outcome(
      ErrorCode::kNetwork,
      // Its message may quote what the server sent.
      fmt::format("get {}: {}", url,
                  printable(message_[0] != '\0' ? message_.data() : curl_easy_strerror(code))),
      may_pass_later(code));
}

HttpReply CurlHandle::reply() const {
  HttpReply reply;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(get(), CURLINFO_RESPONSE_CODE, &reply.status);
  curl_easy_getinfo(get(), CURLINFO_RETRY_AFTER, &retry_after);
  reply.retry_after_s = static_cast<long>(retry_after);
  const auto limit = parse_rate_limit(header("ratelimit"));
  if (reply.status == 429 && limit && limit->remaining == 0) {  // the header comes with every answer
    reply.rate_limit = limit->name;
    if (reply.retry_after_s == 0) reply.retry_after_s = std::max(limit->reset_s, 1L);
  }
  reply.error_code = header("x-error-code");
  reply.error_message = header("x-error-message");
  reply.next_page = next_of(header("link"));
  const char* last = nullptr;
  curl_easy_getinfo(get(), CURLINFO_EFFECTIVE_URL, &last);
  reply.elsewhere = last != nullptr && origin_of(last) != origin_of(url_);
  return reply;
}

}  // namespace kakeya::hub
