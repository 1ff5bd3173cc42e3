// Sockets: accepts connections, reads requests, writes responses, notices clients that went away. One
// thread a connection.
#pragma once
#include <kakeya/result.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/http/message.h"

namespace kakeya::serve::http {

// What the listener serves. Called from many threads.
class Application {
 public:
  virtual ~Application() = default;
  // Before the body is read: an answer here means that it is not wanted.
  virtual std::optional<Response> before_body(Request& request) = 0;
  virtual Response handle(Request& request) = 0;
  // Errors that arise in reading a request: 400, 413, 414, 431.
  virtual Response broken(const Request& request, int status, const std::string& why) = 0;
  // The last word on every response's headers, before they are sent.
  virtual void finish(const Request& request, Response& response) = 0;
};

struct ListenOptions {
  std::vector<std::string> hosts = {"127.0.0.1"};  // the first must bind, others are bound where they can be
  int port = 0;                                    // 0 = any free one, the same for all hosts
  std::size_t max_body_bytes = std::size_t{16} << 20;
  std::size_t max_connections = 128;               // more are answered 503 and closed
  std::chrono::milliseconds read_timeout{30'000};  // for a whole request: header and body
  std::chrono::milliseconds idle_timeout{60'000};  // between requests of one connection
  // Without a byte taken by the client's side; twice the kernel's buffers are full by then.
  std::chrono::milliseconds write_timeout{30'000};
};

class Listener {
 public:
  // Listens when it returns. Errors: kInvalidArgument (host), kIo (port in use).
  static Result<std::unique_ptr<Listener>> open(const ListenOptions& options, Application& application);
  virtual ~Listener() = default;  // as stop()

  virtual int port() const = 0;
  virtual const std::vector<std::string>& hosts() const = 0;  // bound ones
  virtual std::size_t connections() const = 0;
  // No new connections, idle ones closed; returns when the last request was answered.
  virtual void stop() = 0;
};

}  // namespace kakeya::serve::http
