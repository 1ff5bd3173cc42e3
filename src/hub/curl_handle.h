// What every transfer through libcurl shares. Only .cc files of hub/ include this.
#pragma once
#include <curl/curl.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "hub/http_client.h"

namespace kakeya::hub {

class CurlHandle {
 public:
  // `cancelled` must outlive the handle; it is polled during the transfer and may be empty.
  explicit CurlHandle(const std::function<bool()>& cancelled);
  CurlHandle(const CurlHandle&) = delete;
  CurlHandle& operator=(const CurlHandle&) = delete;

  CURL* get() const { return curl_.get(); }
  explicit operator bool() const { return curl_ != nullptr; }

  // http and https only, a limit of redirects, never from https to http, the token for this host alone, no
  // proxy for the loopback address.
  void set_address(const std::string& url, const std::string& bearer_token, long connect_ms);
  // The outcome of a transfer that ended with `code`, an error of curl's.
  HttpOutcome failure(CURLcode code, const std::string& url) const;
  // All but the body of a transfer that worked.
  HttpReply reply() const;
  // Of the last response, by lower-case name; of X-Linked-Size and X-Linked-Etag the first one, because a hub
  // sends them with its redirect. Empty when absent.
  std::string header(const std::string& name) const;

 private:
  static std::size_t take_header(char* data, std::size_t size, std::size_t count, void* user);

  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
  std::string url_;
  std::map<std::string, std::string> headers_;
  std::array<char, CURL_ERROR_SIZE> message_{};
};

HttpOutcome failed_outcome(ErrorCode code, std::string message, bool may_pass);

}  // namespace kakeya::hub
