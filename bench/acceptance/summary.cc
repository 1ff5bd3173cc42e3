#include "acceptance/summary.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string fidelity_words(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::kSame:
      return "says the same as bf16";
    case Fidelity::kClose:
      return "stays close to bf16";
    case Fidelity::kDrifts:
      return "drifts away from bf16";
    case Fidelity::kBaseline:
      break;
  }
  return "is the baseline";
}

std::string acceptance_words(const Run& run, const std::string& channel) {
  switch (run.channel_verdict(channel)) {
    case Verdict::kNonInferior:
      return "acceptance is non-inferior to bf16";
    case Verdict::kWorse:
      return "acceptance is worse than bf16 by more than the margin";
    case Verdict::kInconclusive:
      return "acceptance: inconclusive, the sample cannot tell";
    case Verdict::kNoMargin:
      return "acceptance: no margin was declared, so only the interval is given";
    case Verdict::kBaseline:
      break;
  }
  return "is the baseline";
}

std::string row(const Run& run, const Cell& cell) {
  const CellMetrics& m = cell.metrics;
  const Acceptance& a = m.acceptance();
  const Comparison& c = cell.comparison;
  const bool baseline = c.verdict == Verdict::kBaseline;
  const std::string drop = baseline ? ""
                                    : fmt::format("{:+6.2f} [{:+.2f}, {:+.2f}]", c.drop_pp.estimate,
                                                  c.drop_pp.low, c.drop_pp.high);
  const bool graded = m.correctness && m.correctness->n > 0;
  return fmt::format(
      "{:<10} {:<8} {:>5.0f}  {:>5} [{}, {}]  {:>5}%  {:<23} {:<12}  {:>6}  {:<8} {:>7}  {:>8}\n",
      run.dataset_of(cell).name, cell.channel.name, cell.channel.bits_allocated, figure(a.mean.estimate, 2),
      figure(a.mean.low, 2), figure(a.mean.high, 2), figure(100 * a.rate.estimate, 1), drop,
      to_string(c.verdict), m.agreement ? figure(100 * m.agreement->top1.estimate, 2) + "%" : "-",
      cell.fidelity ? to_string(cell.fidelity->grade) : "-",
      graded ? fmt::format("{}/{}", m.correctness->right, m.correctness->n) : "-",
      m.tps ? figure(m.tps->mean, 1) : "-");
}

}  // namespace

std::string figure(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "-";
}

std::string run_title(const Run& run) {
  return fmt::format("{}DFlash acceptance per KV channel: {} + {}", run.mock() ? "MOCK: " : "", run.target.id,
                     run.draft.id);
}

std::string channel_sentence(const Run& run, const std::string& channel) {
  const std::optional<Fidelity> fidelity = run.channel_fidelity(channel);
  return fmt::format("{}; {}", acceptance_words(run, channel),
                     fidelity ? "fidelity: " + fidelity_words(*fidelity)
                              : "fidelity was not measured (free protocol alone)");
}

std::string summary_table(const Run& run) {
  std::string text = fmt::format("{}\n\n", run_title(run));
  text += fmt::format("{:<10} {:<8} {:>5}  {:<20} {:>6}  {:<23} {:<12}  {:>6}  {:<8} {:>7}  {:>8}\n",
                      "data set", "channel", "bits", "tau mean [95 %]", "rate", "drop pp [95 %]",
                      "acceptance", "top-1", "fidelity", "correct", "tok/s");
  for (const Cell& cell : run.cells) text += row(run, cell);
  text += fmt::format("\ntau from the {} protocol, verdicts from the {} protocol{}\n",
                      primary_protocol(run.options), verdict_protocol(run.options),
                      run.mock() ? "; MOCK: nothing here was measured" : "");
  for (const std::string& channel : run.channels()) {
    if (channel != "bf16") text += fmt::format("  {:<8} {}\n", channel, channel_sentence(run, channel));
  }
  for (const Cell& cell : run.cells) {
    for (const Check& check : cell.checks) {
      if (check.passed) continue;
      text += fmt::format("CHECK FAILED, {} {}: {} ({})\n", run.dataset_of(cell).name, cell.channel.name,
                          check.name, check.detail);
    }
  }
  return text;
}

Json summary_json(const Run& run, const std::string& out_dir, int exit_code) {
  Json cells = Json::array(), channels = Json::array();
  for (const Cell& cell : run.cells) {
    const Acceptance& a = cell.metrics.acceptance();
    Json checks = Json::array();
    for (const Check& check : cell.checks) {
      if (!check.passed) checks.push_back(check.name);
    }
    cells.push_back({{"dataset", run.dataset_of(cell).name},
                     {"channel", cell.channel.name},
                     {"file", cell_file_name(run.dataset_of(cell).name, cell.channel.name)},
                     {"prompts", cell.records.size()},
                     {"tau", number(a.mean.estimate)},
                     {"tau_pooled", number(a.pooled)},
                     {"acceptance_rate", number(a.rate.estimate)},
                     {"drop_pp", number(cell.comparison.drop_pp.estimate)},
                     {"ci95", {number(cell.comparison.drop_pp.low), number(cell.comparison.drop_pp.high)}},
                     {"verdict", to_string(cell.comparison.verdict)},
                     {"fidelity", cell.fidelity ? Json(to_string(cell.fidelity->grade)) : Json(nullptr)},
                     {"tok_per_s", cell.metrics.tps ? number(cell.metrics.tps->mean) : Json(nullptr)},
                     {"bits_allocated", cell.channel.bits_allocated},
                     {"failed_checks", checks}});
  }
  for (const std::string& channel : run.channels()) {
    const std::optional<Fidelity> fidelity = run.channel_fidelity(channel);
    channels.push_back({{"channel", channel},
                        {"verdict", to_string(run.channel_verdict(channel))},
                        {"fidelity", fidelity ? Json(to_string(*fidelity)) : Json(nullptr)},
                        {"text", channel_sentence(run, channel)}});
  }
  return {{"schema", "b2-dflash-kakeya-summary-v1"},
          {"engine", run.engine_kind},
          {"title", run_title(run)},
          {"out_dir", out_dir},
          {"exit_code", exit_code},
          {"notes", run.notes},
          {"channels", channels},
          {"cells", cells}};
}

}  // namespace kakeya::acceptance
