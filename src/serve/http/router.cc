#include "serve/http/router.h"

#include <algorithm>

namespace kakeya::serve::http {
namespace {

constexpr std::string_view kPrefix = "/v1";

// What a trailing star stands for, or an empty text for an exact match.
std::optional<std::string> match_pattern(std::string_view pattern, std::string_view path) {
  if (pattern.empty() || pattern.back() != '*') {
    return pattern == path ? std::optional<std::string>("") : std::nullopt;
  }
  const std::string_view stem = pattern.substr(0, pattern.size() - 1);
  if (path.size() <= stem.size() || path.substr(0, stem.size()) != stem) return std::nullopt;
  return std::string(path.substr(stem.size()));
}

std::optional<std::string> match(const Route& route, std::string_view path) {
  if (auto rest = match_pattern(route.path, path)) return rest;
  const std::string_view pattern = route.path;
  if (pattern.substr(0, kPrefix.size() + 1) != "/v1/") return std::nullopt;
  return match_pattern(pattern.substr(kPrefix.size()), path);
}

bool serves(const Route& route, std::string_view method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::size_t shared_prefix(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

void Router::add(Route route) {
  const auto longer = [](const Route& a, const Route& b) { return a.path.size() > b.path.size(); };
  routes_.insert(std::upper_bound(routes_.begin(), routes_.end(), route, longer), std::move(route));
}

const Route* Router::find(Request& request) const {
  for (const Route& route : routes_) {
    if (!serves(route, request.method)) continue;
    if (auto rest = match(route, request.path)) {
      request.rest = std::move(*rest);
      return &route;
    }
  }
  return nullptr;
}

std::string Router::allowed(std::string_view path) const {
  std::string methods;
  for (const Route& route : routes_) {
    if (match(route, path) && methods.find(route.method) == std::string::npos) {
      methods += (methods.empty() ? "" : ", ") + route.method;
    }
  }
  return methods;
}

ErrorStyle Router::style(std::string_view path) const {
  ErrorStyle best = openai_error;
  // The root slash says nothing, and "/v1/" is where several families live.
  std::size_t longest = path.substr(0, kPrefix.size() + 1) == "/v1/" ? kPrefix.size() + 1 : 1;
  for (const Route& route : routes_) {
    if (match(route, path)) return route.style;
    const std::size_t shared = shared_prefix(route.path, path);
    if (shared > longest && (shared == path.size() || path[shared - 1] == '/')) {
      longest = shared;
      best = route.style;
    }
  }
  return best;
}

std::string clean_path(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  std::string collapsed;
  for (const char c : target) {
    if (c != '/' || collapsed.empty() || collapsed.back() != '/') collapsed += c;
  }
  if (collapsed.size() > 1 && collapsed.back() == '/') collapsed.pop_back();
  std::string path;
  for (std::size_t i = 0; i < collapsed.size(); ++i) {
    if (collapsed[i] == '%' && i + 2 < collapsed.size() && hex(collapsed[i + 1]) >= 0 &&
        hex(collapsed[i + 2]) >= 0) {
      path += static_cast<char>(hex(collapsed[i + 1]) * 16 + hex(collapsed[i + 2]));
      i += 2;
    } else {
      path += collapsed[i];
    }
  }
  return path.empty() ? "/" : path;
}

}  // namespace kakeya::serve::http
