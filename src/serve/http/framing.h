// What the head of a request says of where it goes and how long its body is, before any of it is believed.
#pragma once
#include <cstddef>
#include <string>

#include "serve/http/message.h"

namespace kakeya::serve::http {

struct Framing {
  std::size_t length = 0;  // of the body, where it is not chunked
  bool chunked = false;
  int refusal = 0;  // 400 or 501, and why; the connection cannot go on after it
  std::string why;
};

// RFC 9112: one Host in HTTP/1.1 (3.2), Transfer-Encoding chunked alone and not beside Content-Length (6.1),
// lengths that agree (6.3).
Framing framing_of(const Headers& headers, bool old_version);
bool body_expected(const std::string& method);

}  // namespace kakeya::serve::http
