// Sums records of one cell into every acceptance definition, rates, fidelity and memory. No verdicts
// (verdict.h).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "acceptance/dataset.h"
#include "acceptance/records.h"
#include "acceptance/stats.h"

namespace kakeya::acceptance {

// One cycle or forced anchor: proposed tokens and how many stood.
struct CycleCount {
  std::uint32_t proposed = 0, accepted = 0;
};

// Cycles of one prompt. `protocol` is "free" or "forced"; empty when that part was not run or has no cycle.
std::vector<CycleCount> cycles_of(const Record& record, const std::string& protocol);

// All definitions from the same counts: C cycles, D drafted, A accepted; length of a cycle = accepted + 1.
struct Acceptance {
  std::size_t prompts = 0, prompts_without_cycles = 0;  // the latter are records, but not in any figure
  std::uint64_t cycles = 0, drafted = 0, accepted = 0,
                generated = 0;  // generated: free runs, first token included
  Interval mean;                // mean length per prompt, then over prompts; interval over prompts
  double pooled = 0;            // 1 + A / C
  double p50 = 0, p95 = 0;      // over cycles
  double p50_prompts = 0, p95_prompts = 0;  // over per-prompt means
  std::vector<std::uint64_t> histogram;     // [length] cycles; index 0 is always 0
  std::vector<double> per_position;         // [i] share of cycles in which draft token i + 1 stood
  Interval rate;                            // A / D, pooled; interval over prompts
  double share = 0;                         // A / (A + C)
};
Acceptance sum_acceptance(const std::vector<Record>& records, const std::string& protocol,
                          const BootstrapOptions& bootstrap);

struct Spread {
  double mean = 0, p50 = 0, p95 = 0;  // over prompts
  std::size_t n = 0;
};

struct Agreement {
  std::size_t positions = 0, prompts = 0;
  Interval top1;          // share of positions
  Interval kl_per_token;  // nats
  Interval delta_nll;     // nats a token, channel minus bf16
  std::size_t prompts_diverged = 0;
  double first_divergence_p50 = 0;  // over prompts that diverged; NaN for none
};

struct Correctness {
  std::string name;  // "exact_match" or "pass@1"
  std::size_t n = 0, right = 0;
  Interval value;
  std::string reason;  // why n is 0
};

struct Memory {
  KvFacts target, draft;  // of the largest run
  std::uint64_t taps_bytes = 0, model_scratch_bytes = 0;
  double target_bytes_per_token = 0;                // codes and side data, allocated
  std::vector<FiredCount> codec_fired, skip_fired;  // summed over free runs, per layer of the target
};

struct CellMetrics {
  std::string primary;  // protocol of `acceptance()`
  std::optional<Acceptance> free, forced;
  const Acceptance& acceptance() const { return primary == "forced" ? *forced : *free; }
  std::optional<Spread> tps, ttft_ms;
  std::optional<Correctness> correctness;
  std::optional<Agreement> agreement;
  std::optional<Memory> memory;
};

// layers x kv_heads x 2: vectors that one token adds to the target's cache.
CellMetrics sum_cell(const std::vector<Record>& records, const std::string& primary, TaskKind kind,
                     std::size_t vectors_per_token, const BootstrapOptions& bootstrap);

}  // namespace kakeya::acceptance
