#include "hub/curl_handle.h"

#include <fmt/format.h>

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
}

void CurlHandle::set_address(const std::string& url, const std::string& bearer_token, long connect_ms) {
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
  return reply;
}

}  // namespace kakeya::hub
