#include "serve/http/framing.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace kakeya::serve::http {
namespace {

std::size_t count_of(const Headers& headers, std::string_view name) {
  const auto& all = headers.all();
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [&](const auto& entry) { return equal_ignoring_case(entry.first, name); }));
}

// "content-length: 5" -> 5; nothing when it is no number or two contradict each other.
std::optional<std::size_t> content_length(const Headers& headers) {
  std::optional<std::size_t> length;
  for (const auto& [name, text] : headers.all()) {
    if (!equal_ignoring_case(name, "content-length")) continue;
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
      return {};
    const std::size_t value = std::stoull(text);
    if (length && *length != value) return {};
    length = value;
  }
  return length.value_or(0);
}

// NAME, NAME:PORT, [ADDRESS] or [ADDRESS]:PORT; empty is allowed.
bool is_host(std::string_view host) {
  std::size_t end = host.find(':');
  if (!host.empty() && host.front() == '[') {
    end = host.find(']');
    if (end == std::string_view::npos) return false;
    ++end;
  }
  const std::string_view name = host.substr(0, end);
  const std::string_view port = host.substr(std::min(end, host.size()));
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' &&
           std::string_view("@/\\?#<>\"").find(c) == std::string_view::npos;
  });
  if (!plain || port.empty()) return plain;
  return port.front() == ':' && port.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

}  // namespace

bool body_expected(const std::string& method) {
  return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

Framing framing_of(const Headers& headers, bool old_version) {
  Framing out;
  const auto refuse = [&](int status, const char* why) {
    if (out.refusal == 0) {
      out.refusal = status;
      out.why = why;
    }
  };
  out.chunked = headers.has("transfer-encoding");
  const auto length = content_length(headers);
  out.length = length.value_or(0);
  if (!length || (out.chunked && headers.has("content-length"))) {
    refuse(400, "Content-Length and Transfer-Encoding contradict each other");
  }
  const bool chunks = count_of(headers, "transfer-encoding") == 1 &&
                      equal_ignoring_case(headers.get("transfer-encoding"), "chunked");
  if (out.chunked && !chunks) refuse(501, "Transfer-Encoding: expected chunked alone");
  const std::size_t hosts = count_of(headers, "host");
  if (hosts > 1 || (hosts == 0 && !old_version)) refuse(400, "Host header: expected one");
  if (!is_host(headers.get("host"))) refuse(400, "Host header: expected a name or an address, and a port");
  return out;
}

}  // namespace kakeya::serve::http
