#include "serve/http/access.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kakeya::serve::http {
namespace {

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

bool listed(const std::vector<std::string>& list, std::string_view value) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    return entry == "*" || equal_ignoring_case(entry, value);
  });
}

bool ip_literal(std::string_view host) {
  const std::string text(host);
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

std::string_view bearer(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() < kScheme.size() || !equal_ignoring_case(header.substr(0, kScheme.size()), kScheme)) {
    return {};
  }
  header.remove_prefix(kScheme.size());
  const auto first = header.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return header.substr(first, header.find_last_not_of(' ') - first + 1);
}

}  // namespace

bool constant_time_equal(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

std::string_view host_name(std::string_view header) {
  if (!header.empty() && header.front() == '[') return header.substr(1, header.find(']') - 1);
  return header.substr(0, header.find(':'));
}

bool loopback_name(std::string_view host) {
  if (equal_ignoring_case(host, "localhost") || ends_with(host, ".localhost") || host == "::1") return true;
  return host.substr(0, 4) == "127." && ip_literal(host);
}

bool local_origin(std::string_view origin) {
  const auto colon = origin.find("://");
  if (colon == std::string_view::npos) return false;
  const std::string_view scheme = origin.substr(0, colon), rest = origin.substr(colon + 3);
  constexpr std::array<std::string_view, 5> kApps = {"app", "tauri", "capacitor", "vscode-webview",
                                                     "vscode-file"};
  if (std::find(kApps.begin(), kApps.end(), scheme) != kApps.end()) return true;
  return (scheme == "http" || scheme == "https") && loopback_name(host_name(rest));
}

std::optional<ApiError> Access::check_host(const Request& request) const {
  if (!options_.loopback || !options_.api_keys.empty()) return {};
  const std::string_view host = host_name(request.headers.get("host"));
  if (host.empty() || loopback_name(host) || ip_literal(host) || listed(options_.allow_hosts, host))
    return {};
  ApiError error;
  error.status = 403;
  error.type = "permission_error";
  error.code = "host_not_allowed";
  error.message = fmt::format(
      "Host header: found '{}', expected a loopback name or address; start with --allow-host {} or with "
      "--api-key",
      host, host);
  return error;
}

std::optional<ApiError> Access::check_key(const Request& request) const {
  if (options_.api_keys.empty()) return {};
  const std::array<std::string_view, 3> offered = {bearer(request.headers.get("authorization")),
                                                   request.headers.get("x-api-key"),
                                                   request.headers.get("api-key")};
  bool known = false, any = false;
  for (const std::string_view key : offered) {
    any = any || !key.empty();
    for (const std::string& valid : options_.api_keys) {
      if (!key.empty() && constant_time_equal(key, valid)) known = true;
    }
  }
  if (known) return {};
  ApiError error;
  error.status = 401;
  error.code = "invalid_api_key";
  error.message = any ? "Incorrect API key provided."
                      : "No API key provided: expected the header Authorization: Bearer KEY, x-api-key or "
                        "api-key.";
  return error;
}

bool Access::allows_origin(std::string_view origin) const {
  return !origin.empty() && (local_origin(origin) || listed(options_.cors_origins, origin));
}

Response Access::preflight(const Request& request) const {
  Response response;
  response.content_type = "text/plain";  // 200 with nothing in it, as llama-server's
  const std::string_view origin = request.headers.get("origin");
  if (!origin.empty() && !allows_origin(origin)) return response;
  const std::string_view wanted = request.headers.get("access-control-request-headers");
  response.headers = {{"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
                      {"Access-Control-Allow-Headers", wanted.empty() ? "*" : std::string(wanted)},
                      {"Access-Control-Max-Age", "600"}};
  if (request.headers.get("access-control-request-private-network") == "true") {
    response.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  }
  return response;
}

void Access::add_cors(const Request& request, Response& response) const {
  const std::string_view origin = request.headers.get("origin");
  if (origin.empty()) return;
  response.headers.emplace_back("vary", "Origin");
  if (!allows_origin(origin)) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
  response.headers.emplace_back("Access-Control-Allow-Credentials", "true");
  response.headers.emplace_back("Access-Control-Expose-Headers", "retry-after, x-should-retry, x-request-id");
}

}  // namespace kakeya::serve::http
