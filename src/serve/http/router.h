// The table of routes: one line each, whatever family they belong to.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/message.h"

namespace kakeya::serve::http {

struct Route {
  std::string method;  // GET (answers HEAD too), POST, ...
  // "/v1/..." is reached without /v1 as well. A trailing "*" stands for one or more characters, slashes
  // too; longer paths win over shorter ones with a star.
  std::string path;
  std::function<Answer(const Request&)> handler;
  bool open = false;  // answers without a key
  ErrorStyle style = openai_error;
  // POST bodies must be application/json (which makes browsers ask first); false for bodies of any kind.
  bool json = true;
};

class Router {
 public:
  void add(Route route);
  // Sets `request.rest`. Null when nothing matches; see allowed().
  const Route* find(Request& request) const;
  // Methods that the path knows, "GET, POST"; empty for an unknown path.
  std::string allowed(std::string_view path) const;
  // Of the longest route that the path could belong to, for errors of the server itself.
  ErrorStyle style(std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

// Percent-decodes a request target's path and collapses runs of slashes: "//v1/models/a%2Fb?x" -> path
// "/v1/models/a/b". Bad escapes stay as they are.
std::string clean_path(std::string_view target);

}  // namespace kakeya::serve::http
