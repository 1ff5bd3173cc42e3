#include "acceptance/metrics.h"

#include <algorithm>
#include <limits>

namespace kakeya::acceptance {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double ratio(std::uint64_t a, std::uint64_t b) {
  return b == 0 ? kNan : static_cast<double>(a) / static_cast<double>(b);
}

Spread spread(const std::vector<double>& values) {
  return {mean(values), quantile(values, 0.5), quantile(values, 0.95), values.size()};
}

void add_fired(std::vector<FiredCount>& sum, const std::vector<FiredCount>& layers) {
  if (sum.size() < layers.size()) sum.resize(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    sum[i].calls += layers[i].calls;
    sum[i].vectors += layers[i].vectors;
  }
}

void sum_speed(const std::vector<Record>& records, CellMetrics& metrics) {
  std::vector<double> tps, ttft;
  for (const Record& record : records) {
    if (!record.free) continue;
    ttft.push_back(record.free->ttft_ms);
    // First to last emitted token: a rate needs at least one token after the first.
    const std::size_t tokens = record.free->output_ids.size();
    if (tokens >= 2 && record.free->decode_ms > 0) {
      tps.push_back(static_cast<double>(tokens - 1) * 1000.0 / record.free->decode_ms);
    }
  }
  if (!tps.empty()) metrics.tps = spread(tps);
  if (!ttft.empty()) metrics.ttft_ms = spread(ttft);
}

std::optional<Correctness> sum_correctness(const std::vector<Record>& records, TaskKind kind,
                                           const BootstrapOptions& bootstrap) {
  Correctness sum;
  sum.name = kind == TaskKind::kCode ? "pass@1" : "exact_match";
  std::vector<double> values;
  bool any = false;
  for (const Record& record : records) {
    if (!record.free) continue;
    any = true;
    if (!record.free->correct) {
      sum.reason = record.free->grade_detail;
      continue;
    }
    values.push_back(*record.free->correct ? 1 : 0);
    sum.right += *record.free->correct ? 1 : 0;
  }
  if (!any) return std::nullopt;
  sum.n = values.size();
  sum.value = bootstrap_mean(values, bootstrap);
  return sum;
}

std::optional<Agreement> sum_agreement(const std::vector<Record>& records,
                                       const BootstrapOptions& bootstrap) {
  Agreement sum;
  std::vector<Ratio> top1, kl, nll;
  std::vector<double> divergence;
  for (const Record& record : records) {
    if (!record.forced || record.forced->positions == 0) continue;
    const ForcedPart& part = *record.forced;
    const auto positions = static_cast<double>(part.positions);
    top1.push_back({static_cast<double>(part.top1_agree), positions});
    kl.push_back({part.kl_sum, positions});
    nll.push_back({part.nll_sum - part.nll_baseline_sum, positions});
    sum.positions += part.positions;
    if (part.first_divergence >= 0) divergence.push_back(static_cast<double>(part.first_divergence));
  }
  if (top1.empty()) return std::nullopt;
  sum.prompts = top1.size();
  sum.top1 = bootstrap_ratio(top1, bootstrap);
  sum.kl_per_token = bootstrap_ratio(kl, bootstrap);
  sum.delta_nll = bootstrap_ratio(nll, bootstrap);
  sum.prompts_diverged = divergence.size();
  sum.first_divergence_p50 = quantile(divergence, 0.5);
  return sum;
}

std::optional<Memory> sum_memory(const std::vector<Record>& records, std::size_t vectors_per_token) {
  Memory memory;
  bool any = false;
  for (const Record& record : records) {
    if (!record.free) continue;
    const MemoryFacts& facts = record.free->memory;
    if (!any || facts.target.vectors_stored > memory.target.vectors_stored) {
      memory.target = facts.target;
      memory.draft = facts.draft;
      memory.taps_bytes = facts.taps_bytes;
      memory.model_scratch_bytes = facts.model_scratch_bytes;
    }
    any = true;
    add_fired(memory.codec_fired, facts.target.codec_fired);
    add_fired(memory.skip_fired, facts.target.skip_fired);
  }
  if (!any) return std::nullopt;
  if (memory.target.vectors_capacity > 0) {
    memory.target_bytes_per_token =
        static_cast<double>(memory.target.codes_bytes + memory.target.side_bytes) /
        static_cast<double>(memory.target.vectors_capacity) * static_cast<double>(vectors_per_token);
  }
  return memory;
}

}  // namespace

std::vector<CycleCount> cycles_of(const Record& record, const std::string& protocol) {
  std::vector<CycleCount> cycles;
  if (protocol == "forced") {
    if (!record.forced) return cycles;
    for (const ForcedAnchor& anchor : record.forced->anchors)
      cycles.push_back({anchor.proposed, anchor.accepted});
  } else if (record.free) {
    for (const Cycle& cycle : record.free->cycles) cycles.push_back({cycle.proposed, cycle.accepted});
  }
  return cycles;
}

Acceptance sum_acceptance(const std::vector<Record>& records, const std::string& protocol,
                          const BootstrapOptions& bootstrap) {
  Acceptance sum;
  std::vector<double> prompt_means, lengths;
  std::vector<Ratio> rates;
  std::vector<std::uint64_t> reached;  // [i] cycles with at least i + 1 accepted
  sum.histogram.assign(1, 0);
  for (const Record& record : records) {
    ++sum.prompts;
    if (protocol == "free" && record.free) sum.generated += record.free->output_ids.size();
    const std::vector<CycleCount> cycles = cycles_of(record, protocol);
    if (cycles.empty()) {
      ++sum.prompts_without_cycles;
      continue;
    }
    std::uint64_t drafted = 0, accepted = 0;
    for (const CycleCount& cycle : cycles) {
      drafted += cycle.proposed;
      accepted += cycle.accepted;
      lengths.push_back(cycle.accepted + 1);
      if (sum.histogram.size() < cycle.proposed + 2) sum.histogram.resize(cycle.proposed + 2, 0);
      if (reached.size() < cycle.proposed) reached.resize(cycle.proposed, 0);
      ++sum.histogram[cycle.accepted + 1];
      for (std::uint32_t i = 0; i < cycle.accepted; ++i) ++reached[i];
    }
    prompt_means.push_back(1.0 + ratio(accepted, cycles.size()));
    rates.push_back({static_cast<double>(accepted), static_cast<double>(drafted)});
    sum.cycles += cycles.size();
    sum.drafted += drafted;
    sum.accepted += accepted;
  }
  sum.mean = bootstrap_mean(prompt_means, bootstrap);
  sum.pooled = 1.0 + ratio(sum.accepted, sum.cycles);
  sum.p50 = quantile(lengths, 0.5);
  sum.p95 = quantile(lengths, 0.95);
  sum.p50_prompts = quantile(prompt_means, 0.5);
  sum.p95_prompts = quantile(prompt_means, 0.95);
  for (const std::uint64_t count : reached) sum.per_position.push_back(ratio(count, sum.cycles));
  sum.rate = bootstrap_ratio(rates, bootstrap);
  sum.share = ratio(sum.accepted, sum.accepted + sum.cycles);
  return sum;
}

CellMetrics sum_cell(const std::vector<Record>& records, const std::string& primary, TaskKind kind,
                     std::size_t vectors_per_token, const BootstrapOptions& bootstrap) {
  CellMetrics metrics;
  metrics.primary = primary;
  const auto has_forced = [](const Record& record) { return record.forced.has_value(); };
  const auto has_free = [](const Record& record) { return record.free.has_value(); };
  if (std::any_of(records.begin(), records.end(), has_forced) || primary == "forced") {
    metrics.forced = sum_acceptance(records, "forced", bootstrap);
  }
  if (std::any_of(records.begin(), records.end(), has_free) || primary == "free") {
    metrics.free = sum_acceptance(records, "free", bootstrap);
  }
  sum_speed(records, metrics);
  metrics.correctness = sum_correctness(records, kind, bootstrap);
  metrics.agreement = sum_agreement(records, bootstrap);
  metrics.memory = sum_memory(records, vectors_per_token);
  return metrics;
}

}  // namespace kakeya::acceptance
