#include "policy/together.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <random>

namespace kakeya::policy {
namespace {

using Clock = std::chrono::steady_clock;

Status finish(Answer& answer, Batch& batch) {
  while (true) {
    const std::optional<ServiceEvent> event = answer.next(std::chrono::seconds(60));
    if (!event) return Error{ErrorCode::kUnavailable, "a request gave nothing for a minute"};
    if (event->kind == ServiceEvent::Kind::kFailed) return event->error;
    if (event->kind != ServiceEvent::Kind::kFinished) continue;
    const Completion& completion = event->completion;
    batch.tokens += completion.usage.output_tokens;
    for (const Cycle& cycle : completion.cycles) ++(cycle.proposed > 0 ? batch.drafted : batch.plain);
    return {};
  }
}

Result<Batch> run(Service& service, std::span<const std::vector<Token>> prompts, Speculation mode,
                  const TogetherOptions& options) {
  const ServiceStats before = service.stats();
  const Clock::time_point start = Clock::now();
  std::vector<std::unique_ptr<Answer>> answers;
  for (const auto& prompt : prompts) {
    ServiceRequest request;
    request.prompt = prompt;
    request.reuse_prefix = false;  // every mode computes every prompt
    request.options.max_tokens = static_cast<int>(options.tokens);
    request.options.speculation = mode;
    request.options.ignore_stop = options.ignore_stop;
    auto answer = service.submit(std::move(request));
    if (!answer.ok()) return answer.error();
    answers.push_back(std::move(*answer));
  }
  Batch batch;
  for (const auto& answer : answers) {
    if (const Status status = finish(*answer, batch); !status.ok()) return status.error();
  }
  batch.wall_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  const ServiceStats after = service.stats();
  batch.passes = after.passes - before.passes;
  batch.shared_passes = after.shared_passes - before.shared_passes;
  return batch;
}

}  // namespace

acceptance::Interval median_interval(const std::vector<double>& values) {
  return acceptance::bootstrap(values.size(),
                               [&](std::span<const std::uint32_t> chosen) {
                                 std::vector<double> drawn;
                                 for (const std::uint32_t i : chosen) drawn.push_back(values[i]);
                                 return acceptance::quantile(drawn, 0.5);
                               },
                               {});
}

Result<std::vector<std::vector<Batch>>> measure_together(const Engine& engine,
                                                         std::span<const Speculation> modes,
                                                         std::span<const std::vector<Token>> prompts,
                                                         const TogetherOptions& options) {
  ServiceOptions service_options;
  service_options.session.kv = options.kv;
  service_options.slots = options.slots;
  service_options.max_queue = prompts.size();
  for (const auto& prompt : prompts) {
    service_options.session.max_tokens = std::max(
        service_options.session.max_tokens, prompt.size() + options.tokens + engine.draft()->block_size);
  }
  auto service = engine.new_service(service_options);
  if (!service.ok()) return service.error();
  if (auto warm_up = run(**service, prompts, modes[0], options); !warm_up.ok()) return warm_up.error();
  std::vector<std::vector<Batch>> batches(modes.size());
  std::vector<std::size_t> order(modes.size());
  std::ranges::generate(order, [i = std::size_t{0}]() mutable { return i++; });
  std::mt19937 random(3);
  for (int round = 0; round < options.rounds; ++round) {
    std::ranges::shuffle(order, random);
    for (const std::size_t m : order) {
      auto batch = run(**service, prompts, modes[m], options);
      if (!batch.ok()) return batch.error();
      batches[m].push_back(*batch);
    }
    std::cerr << fmt::format("round {} of {}\n", round + 1, options.rounds);
  }
  return batches;
}

void print_together(std::span<const Speculation> modes, const std::vector<std::vector<Batch>>& batches,
                    const TogetherOptions& options) {
  std::cout << fmt::format("{} requests at a time, {} rounds\n\n", options.slots, options.rounds)
            << "| drafts | time / off: median [95 %] | fastest | tokens per second | passes a token | cycles "
               "plain, with "
               "drafts |\n|---|---|--:|--:|--:|--:|\n";
  for (std::size_t m = 0; m < modes.size(); ++m) {
    std::vector<double> ratios, walls, rates;
    std::size_t tokens = 0, plain = 0, drafted = 0;
    std::uint64_t passes = 0;
    for (std::size_t r = 0; r < batches[m].size(); ++r) {
      const Batch& batch = batches[m][r];
      ratios.push_back(batch.wall_ms / batches[0][r].wall_ms);
      walls.push_back(batch.wall_ms / std::ranges::min(batches[0], {}, &Batch::wall_ms).wall_ms);
      rates.push_back(1e3 * static_cast<double>(batch.tokens) / batch.wall_ms);
      tokens += batch.tokens;
      plain += batch.plain;
      drafted += batch.drafted;
      passes += batch.passes;
    }
    const acceptance::Interval ratio = median_interval(ratios);
    std::cout << fmt::format(
        "| {} | {:.3f} [{:.3f}, {:.3f}] | {:.3f} | {:.0f} | {:.2f} | {}, {} |\n", to_string(modes[m]),
        ratio.estimate, ratio.low, ratio.high, std::ranges::min(walls), acceptance::quantile(rates, 0.5),
        static_cast<double>(passes) / static_cast<double>(std::max<std::size_t>(1, tokens)), plain, drafted);
  }
}

nlohmann::json to_json(const std::vector<Batch>& rounds) {
  nlohmann::json out = nlohmann::json::array();
  for (const Batch& b : rounds) {
    out.push_back({{"wall_ms", b.wall_ms},
                   {"tokens", b.tokens},
                   {"plain_cycles", b.plain},
                   {"speculative_cycles", b.drafted},
                   {"passes", b.passes},
                   {"shared_passes", b.shared_passes}});
  }
  return out;
}

}  // namespace kakeya::policy
