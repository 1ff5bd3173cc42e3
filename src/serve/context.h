// What every route stands on. One for the whole server, shared by all connections.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/service.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

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

  // Whether a request's model name means the served one: its id, an alias, the target's own, each also with
  // ":latest".
  bool serves(std::string name) const {
    constexpr std::string_view kLatest = ":latest";
    if (is_name(name)) return true;
    if (name.size() <= kLatest.size() || name.substr(name.size() - kLatest.size()) != kLatest) return false;
    name.resize(name.size() - kLatest.size());
    return is_name(name);
  }
  bool is_name(const std::string& name) const {
    return name == model_id || name == engine.target().id ||
           std::find(options.aliases.begin(), options.aliases.end(), name) != options.aliases.end();
  }
  std::size_t context_tokens() const {
    const std::size_t slot = service.options().session.max_tokens;
    return slot > 0 ? slot : engine.target().max_position_embeddings;
  }
};

}  // namespace kakeya::serve
