// What every route stands on. One for the whole server, shared by all connections.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/service.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "dialog/dialog.h"
#include "serve/metrics.h"
#include "serve/options.h"

namespace kakeya::serve {

using AskFunction = std::function<Result<std::unique_ptr<dialog::Reply>>(dialog::DialogRequest request)>;

struct Context {
  const Engine& engine;
  Service& service;
  const Options& options;
  AskFunction ask;  // dialog::ask on the two above, scripted in tests
  Metrics& metrics;
  std::string model_id;         // served; never empty
  std::int64_t started_at = 0;  // unix seconds
  std::atomic<bool> draining = false;

  std::size_t context_tokens() const { return service.options().session.max_tokens; }
};

}  // namespace kakeya::serve
