// The same prompts, several at a time in one Service, with drafts off, by the policy and always, in turns:
// what the policy costs or gains where passes are shared.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/service.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "acceptance/stats.h"

namespace kakeya::policy {

struct TogetherOptions {
  std::string kv = "bf16";
  std::size_t slots = 1, tokens = 128;
  int rounds = 5;
  bool ignore_stop = false;
};

// All prompts through all slots, once.
struct Batch {
  double wall_ms = 0;
  std::size_t tokens = 0, plain = 0, drafted = 0;  // of output; cycles without and with drafts
  std::uint64_t shared_passes = 0, passes = 0;
};

// batches[mode][round], modes in the order of `modes`. Errors: as Service::submit and of the requests.
Result<std::vector<std::vector<Batch>>> measure_together(const Engine& engine,
                                                         std::span<const Speculation> modes,
                                                         std::span<const std::vector<Token>> prompts,
                                                         const TogetherOptions& options);

// Of the median of `values`, 95 %, by resampling.
acceptance::Interval median_interval(const std::vector<double>& values);

// A table: a mode's time over that of modes[0] in the same round, median with its 95 % interval.
void print_together(std::span<const Speculation> modes, const std::vector<std::vector<Batch>>& batches,
                    const TogetherOptions& options);

nlohmann::json to_json(const std::vector<Batch>& rounds);

}  // namespace kakeya::policy
