// Who may ask: API keys, the Host rule against DNS rebinding, CORS.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/message.h"

namespace kakeya::serve::http {

struct AccessOptions {
  std::vector<std::string> api_keys;      // empty = everyone, whatever key they send
  std::vector<std::string> allow_hosts;   // besides loopback names and addresses; "*" = all
  std::vector<std::string> cors_origins;  // besides local_origin(); "*" = all
  // Listens on loopback alone: then, without a key, a page of the web that lets its name point to 127.0.0.1
  // would be answered, if it were not for its Host header.
  bool loopback = true;
};

class Access {
 public:
  explicit Access(AccessOptions options) : options_(std::move(options)) {}

  std::optional<ApiError> check_host(const Request& request) const;
  // Authorization: Bearer, x-api-key, api-key. Compared in a time that does not depend on where they differ.
  std::optional<ApiError> check_key(const Request& request) const;
  bool allows_origin(std::string_view origin) const;
  Response preflight(const Request& request) const;
  void add_cors(const Request& request, Response& response) const;

 private:
  AccessOptions options_;
};

// An origin that no page of the web can have: pages served from this machine, and apps' own schemes. Not
// "null": sandboxed frames of any page have it.
bool local_origin(std::string_view origin);
// The host of a Host header, without the port and brackets.
std::string_view host_name(std::string_view header);
bool loopback_name(std::string_view host);  // localhost, *.localhost, 127.*, ::1
bool constant_time_equal(std::string_view a, std::string_view b);

}  // namespace kakeya::serve::http
