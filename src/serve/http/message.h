// Requests and responses as routes see them. Knows no sockets, no models and no HTTP library.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kakeya::serve::http {

// Names compare without case; of several with one name, get() returns the first.
class Headers {
 public:
  void add(std::string name, std::string value);
  std::string_view get(std::string_view name) const;  // empty = not there
  bool has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return entries_; }

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

struct Request {
  std::string method;                        // as sent: upper case
  std::string path;                          // percent-decoded, runs of slashes collapsed, no query
  std::string rest;                          // what the route's trailing "*" stands for
  std::map<std::string, std::string> query;  // percent-decoded
  Headers headers;
  std::string body;
  std::string remote;          // the client's address
  std::function<bool()> gone;  // the client has closed the connection; cheap, may be polled
};

// The body of a streamed response. Every write leaves at once, in one piece.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual bool write(std::string_view bytes) = 0;  // false: the client is gone or reads too slowly
  virtual bool gone() = 0;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  // When set, `body` is not used: runs after the headers were sent, on the connection's own thread.
  std::function<void(Writer&)> stream;
};

// What went wrong with a request; each family of routes has its own JSON for it.
struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param = {};  // the field, empty = null
  std::string code = {};   // empty = null
  int retry_after_s = 0;   // 0 = no retry-after
  bool retry = false;      // whether the same request may go well later: x-should-retry
};

// What a route's function returns: the router writes an ApiError in the route's style.
using Answer = std::variant<Response, ApiError>;
using ErrorStyle = Response (*)(const ApiError& error);

// {"error":{"message","type","param","code"}}
Response openai_error(const ApiError& error);
// The headers that belong to an error whatever its body: retry-after, x-should-retry.
void add_error_headers(const ApiError& error, Response& response);

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace kakeya::serve::http
