#include "acceptance/cell.h"

#include <fmt/format.h>

#include <algorithm>

namespace kakeya::acceptance {
namespace {

BootstrapOptions bootstrap_options(const Run& run) {
  return {.resamples = run.options.resamples, .seed = run.options.seed, .level = 0.95};
}

std::optional<double> margin_of(const RunOptions& options, const std::string& channel) {
  if (const auto given = options.margins.find(channel); given != options.margins.end()) return given->second;
  const std::map<std::string, double> defaults = default_margins();
  if (const auto found = defaults.find(channel); found != defaults.end()) return found->second;
  return std::nullopt;
}

Comparison baseline_comparison(const std::string& protocol) {
  Comparison c;
  c.protocol = protocol;
  c.verdict = Verdict::kBaseline;
  c.text = "the baseline";
  return c;
}

// Output must be the prefill token and what the cycles emitted, nothing else.
Check check_counts(const Cell& cell) {
  Check check{"tokens equal 1 + emitted per cycle", true, ""};
  for (const Record& record : cell.records) {
    if (!record.free) continue;
    std::size_t tokens = 1;
    for (const Cycle& cycle : record.free->cycles) tokens += cycle.emitted;
    if (tokens == record.free->output_ids.size()) continue;
    check.passed = false;
    check.detail =
        fmt::format("{}: {} tokens, {} counted", record.task_id, record.free->output_ids.size(), tokens);
  }
  return check;
}

// bf16 forced along its own text, at its own cycle starts, must accept what it accepted when it ran freely.
Check check_self_forced(const Cell& cell) {
  Check check{"bf16 forced along its own text accepts the same", true, ""};
  for (const Record& record : cell.records) {
    if (!record.free || !record.forced) continue;
    const auto& cycles = record.free->cycles;
    const auto& anchors = record.forced->anchors;
    bool same = cycles.size() == anchors.size() && record.forced->first_divergence < 0;
    for (std::size_t i = 0; same && i < cycles.size(); ++i) same = cycles[i].accepted == anchors[i].accepted;
    if (same) continue;
    check.passed = false;
    check.detail = record.task_id;
  }
  return check;
}

Check check_smaller(const Cell& cell, const Cell& baseline) {
  Check check{"the cache is smaller than bf16's", true, ""};
  if (!cell.metrics.memory || !baseline.metrics.memory) return check;
  const double bytes = cell.metrics.memory->target_bytes_per_token;
  const double base = baseline.metrics.memory->target_bytes_per_token;
  check.passed = bytes < base;
  check.detail = fmt::format("{:.0f} of {:.0f} bytes a token", bytes, base);
  return check;
}

void compare(const Run& run, Cell& cell, const Cell& baseline) {
  const std::string decides = verdict_protocol(run.options);
  const std::optional<double> margin = margin_of(run.options, cell.channel.name);
  const BootstrapOptions bootstrap = bootstrap_options(run);
  cell.comparison = compare_acceptance(cell.records, baseline.records, decides, margin, bootstrap);
  if (run.options.protocol == "both") {
    cell.free_comparison = compare_acceptance(cell.records, baseline.records, "free", margin, bootstrap);
  }
  if (cell.metrics.agreement) cell.fidelity = judge_fidelity(*cell.metrics.agreement);
}

}  // namespace

void evaluate(Run& run) {
  const std::size_t vectors_per_token = run.target.layers * run.target.kv_heads * 2;
  for (Cell& cell : run.cells) {
    const TaskKind kind =
        run.dataset_of(cell).problems.empty() ? TaskKind::kMath : run.dataset_of(cell).problems[0].kind;
    cell.metrics = sum_cell(cell.records, primary_protocol(run.options), kind, vectors_per_token,
                            bootstrap_options(run));
  }
  const Cell* baseline = nullptr;
  for (Cell& cell : run.cells) {
    cell.checks.clear();
    cell.checks.push_back(check_counts(cell));
    if (cell.channel.name == "bf16") {
      baseline = &cell;
      cell.comparison = baseline_comparison(verdict_protocol(run.options));
      if (cell.metrics.agreement) cell.fidelity = FidelityVerdict{Fidelity::kBaseline, "the baseline"};
      if (wants_forced(run.options) && run.options.anchors == "cycles")
        cell.checks.push_back(check_self_forced(cell));
    } else {
      compare(run, cell, *baseline);
      if (cell.metrics.memory) cell.checks.push_back(check_smaller(cell, *baseline));
    }
  }
}

std::vector<std::string> Run::channels() const {
  std::vector<std::string> names;
  for (const Cell& cell : cells) {
    if (std::find(names.begin(), names.end(), cell.channel.name) == names.end())
      names.push_back(cell.channel.name);
  }
  return names;
}

Verdict Run::channel_verdict(const std::string& channel) const {
  std::vector<Verdict> verdicts;
  for (const Cell& cell : cells) {
    if (cell.channel.name == channel) verdicts.push_back(cell.comparison.verdict);
  }
  return worst(verdicts);
}

std::optional<Fidelity> Run::channel_fidelity(const std::string& channel) const {
  std::optional<Fidelity> found;
  for (const Cell& cell : cells) {
    if (cell.channel.name == channel && cell.fidelity)
      found = std::max(found.value_or(Fidelity::kBaseline), cell.fidelity->grade);
  }
  return found;
}

std::string cell_file_name(const std::string& dataset, const std::string& channel) {
  return fmt::format("b2_dflash_kakeya_{}_{}.json", dataset, channel);
}

std::string journal_file_name(const std::string& dataset, const std::string& channel) {
  return fmt::format("b2_dflash_kakeya_{}_{}.partial.jsonl", dataset, channel);
}

}  // namespace kakeya::acceptance
