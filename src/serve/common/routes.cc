#include "serve/common/routes.h"

#include <kakeya/version.h>

#include <nlohmann/json.hpp>

#include "serve/json.h"

namespace kakeya::serve::common {
namespace {

using http::Answer;
using http::Request;
using http::Response;

// The thread that runs the models turns even when idle; a model pass of a long prompt takes its time.
constexpr double kDeadMs = 600'000;

Answer health(const Context& context) {
  if (context.draining) return json_response({{"status", "closing"}}, 503);
  const ServiceStats stats = context.service.stats();
  if (stats.heartbeat_age_ms > kDeadMs) return json_response({{"status", "stuck"}}, 503);
  return json_response({{"status", "ok"}});
}

}  // namespace

void add_routes(http::Router& router, Context& context) {
  for (const char* path : {"/health", "/v1/health", "/ready"}) {
    router.add({"GET", path, [&context](const Request&) { return health(context); }, true});
  }
}

}  // namespace kakeya::serve::common
