// One GET with every limit set: time, size, redirects. Not a general HTTP client; retries are the caller's.
// Large bodies: hub/http_download.h.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <functional>
#include <string>

namespace kakeya::hub {

struct HttpRequest {
  std::string url;           // http or https; an https address is never redirected to http
  std::string bearer_token;  // sent to the url's own host only, not after a redirect elsewhere; empty = none
  long connect_ms = 10'000, total_ms = 30'000;
  std::size_t max_bytes = std::size_t{8} << 20;
  std::function<bool()> cancelled;  // polled during the transfer; may be empty
};

struct HttpReply {
  long status = 0;
  std::string body;
  long retry_after_s = 0;  // Retry-After, or of a used up RateLimit the time to its reset; 0 = not given
  std::string rate_limit;  // of a used up RateLimit what it counts: "api", "resolvers"
  // X-Error-Code ("GatedRepo", "RepoNotFound", ...) and X-Error-Message of a hub.
  std::string error_code, error_message;
  std::string next_page;   // address in a Link header with rel="next"
  bool elsewhere = false;  // a redirect led to another host
};

struct HttpFailure {
  Error error;
  bool may_pass = false;  // a timeout or a broken connection, not a wrong address
};

// Any status is a reply. A failure is the transport's: no connection, time over, body too large, cancelled.
struct HttpOutcome {
  HttpReply reply;
  bool failed = false;
  HttpFailure failure{{ErrorCode::kNetwork, ""}, false};
};
HttpOutcome http_get(const HttpRequest& request);

std::string url_escaped(const std::string& text);
// "https://host:port" of an address, lower case.
std::string origin_of(const std::string& url);

}  // namespace kakeya::hub
