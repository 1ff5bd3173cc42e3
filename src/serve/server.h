// The whole server: routes, who may use them, the listener. docs/server.md traces one request through it.
#pragma once
#include <kakeya/result.h>

#include <memory>
#include <string>
#include <vector>

#include "serve/context.h"
#include "serve/http/router.h"

namespace kakeya::serve {

// Each family of routes adds its own; this is the one place that names the families.
void add_routes(http::Router& router, Context& context);

class Server {
 public:
  // `engine` and `service` outlive the server. Errors: kInvalidArgument (addresses without a key, bad
  // origins), kIo (port in use).
  static Result<std::unique_ptr<Server>> start(const Engine& engine, Service& service, Options options,
                                               AskFunction ask);
  virtual ~Server() = default;
  virtual int port() const = 0;
  virtual std::vector<std::string> urls() const = 0;
  // Refuses new requests, lets running ones finish within options.grace, closes. Returns when done.
  virtual void drain() = 0;
};

}  // namespace kakeya::serve
