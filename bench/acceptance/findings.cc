#include "acceptance/findings.h"

#include <fmt/format.h>
#include <kakeya/version.h>

#include <algorithm>

#include "acceptance/summary.h"

namespace kakeya::acceptance {
namespace {

std::string interval_text(const Interval& i, int decimals, double scale = 1) {
  return fmt::format("{} [{}, {}]", figure(scale * i.estimate, decimals), figure(scale * i.low, decimals),
                     figure(scale * i.high, decimals));
}

std::string answer(const Run& run) {
  std::string text;
  for (const std::string& channel : run.channels()) {
    if (channel == "bf16") continue;
    text += fmt::format("- **{}**: {}.\n", channel, channel_sentence(run, channel));
    for (const Cell& cell : run.cells) {
      if (cell.channel.name != channel) continue;
      text += fmt::format("  - {}, acceptance: {} ({} prompts, {} protocol).\n", run.dataset_of(cell).name,
                          cell.comparison.text, cell.comparison.prompts, cell.comparison.protocol);
      if (cell.free_comparison) {
        text += fmt::format("  - {}, free-running, second: {}: {}.\n", run.dataset_of(cell).name,
                            to_string(cell.free_comparison->verdict), cell.free_comparison->text);
      }
      if (cell.fidelity) {
        text += fmt::format("  - {}, fidelity: {}.\n", run.dataset_of(cell).name, cell.fidelity->text);
      }
    }
  }
  return text;
}

std::string correctness_cell(const CellMetrics& m) {
  if (!m.correctness || m.correctness->n == 0) return "not graded";
  return fmt::format("{}/{} ({} %)", m.correctness->right, m.correctness->n,
                     figure(100 * m.correctness->value.estimate, 1));
}

std::string acceptance_table(const Run& run) {
  std::string text =
      "| data set | channel | KV bits a vector | tau, mean [95 %] | tau, pooled | acceptance rate | drop, pp "
      "[95 %] | "
      "margin, pp | verdict |\n|---|---|--:|--:|--:|--:|--:|--:|---|\n";
  for (const Cell& cell : run.cells) {
    const Acceptance& a = cell.metrics.acceptance();
    const Comparison& c = cell.comparison;
    const bool baseline = c.verdict == Verdict::kBaseline;
    text += fmt::format("| {} | {} | {:.0f} | {} | {} | {} % | {} | {} | {} |\n", run.dataset_of(cell).name,
                        cell.channel.name, cell.channel.bits_allocated, interval_text(a.mean, 2),
                        figure(a.pooled, 2), figure(100 * a.rate.estimate, 2),
                        baseline ? "" : interval_text(c.drop_pp, 2),
                        c.margin_pp ? fmt::format("{:g}", *c.margin_pp) : "", to_string(c.verdict));
  }
  return text;
}

std::string fidelity_table(const Run& run) {
  std::string text =
      "| data set | channel | top-1 as bf16 | KL, nats a token | delta NLL, nats a token | fidelity | right "
      "answers | "
      "decode tok/s | TTFT, ms | KV bytes a token |\n|---|---|--:|--:|--:|---|--:|--:|--:|--:|\n";
  for (const Cell& cell : run.cells) {
    const CellMetrics& m = cell.metrics;
    text +=
        fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", run.dataset_of(cell).name,
                    cell.channel.name, m.agreement ? interval_text(m.agreement->top1, 2, 100) + " %" : "-",
                    m.agreement ? figure(m.agreement->kl_per_token.estimate, 5) : "-",
                    m.agreement ? interval_text(m.agreement->delta_nll, 5) : "-",
                    cell.fidelity ? to_string(cell.fidelity->grade) : "-", correctness_cell(m),
                    m.tps ? figure(m.tps->mean, 1) : "-", m.ttft_ms ? figure(m.ttft_ms->mean, 1) : "-",
                    m.memory ? figure(m.memory->target_bytes_per_token, 0) : "-");
  }
  return text;
}

std::string counts_table(const Run& run) {
  std::string text =
      "| data set | channel | protocol | prompts (without a cycle) | cycles C | drafted D | accepted A | 1 + "
      "A/C | A/D | "
      "A/(A+C) | p50 | p95 |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  const auto row = [&](const Cell& cell, const char* protocol, const Acceptance& a) {
    text += fmt::format("| {} | {} | {} | {} ({}) | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                        run.dataset_of(cell).name, cell.channel.name, protocol, a.prompts,
                        a.prompts_without_cycles, a.cycles, a.drafted, a.accepted, figure(a.pooled, 3),
                        figure(a.rate.estimate, 4), figure(a.share, 4), figure(a.p50, 1), figure(a.p95, 1));
  };
  for (const Cell& cell : run.cells) {
    if (cell.metrics.free && cell.metrics.free->cycles > 0) row(cell, "free", *cell.metrics.free);
    if (cell.metrics.forced) row(cell, "forced", *cell.metrics.forced);
  }
  return text;
}

std::string checks_text(const Run& run) {
  std::string failed;
  std::size_t count = 0;
  for (const Cell& cell : run.cells) {
    for (const Check& check : cell.checks) {
      ++count;
      if (!check.passed) {
        failed += fmt::format("- **FAILED**, {} {}: {} ({})\n", run.dataset_of(cell).name, cell.channel.name,
                              check.name, check.detail);
      }
    }
  }
  if (failed.empty()) return fmt::format("All {} checks of the run on itself passed.\n", count);
  return "**Checks of the run on itself failed: the figures above are in doubt.**\n\n" + failed;
}

std::string how_measured(const Run& run) {
  const RunOptions& o = run.options;
  std::string text;
  for (const Dataset& set : run.datasets) {
    text +=
        fmt::format("- {}: {} of {} problems, selected by seed {}; source {}, `{}`, sha256 `{}`.\n", set.name,
                    set.problems.size(), set.n_available, set.seed, set.source, set.path, set.sha256);
  }
  text += fmt::format(
      "- At most {} output tokens, block {}, verify width {}, temperature {:g}, seed {}; prompts in {} "
      "style, thinking "
      "off; draft cache {}; boundary {}.\n",
      o.max_tokens, run.block_size, run.verify_width, o.temperature, o.seed, to_string(prompt_style(o)),
      o.draft_kv, o.boundary);
  text +=
      "- One prompt at a time; per prompt the channels take turns in an order that rotates, each from an "
      "empty cache, after one "
      "short generation per channel that is not recorded.\n"
      "- **free**: each channel writes its own text. **forced**: each channel follows the bf16 text of the "
      "same prompt and "
      "drafts at the same places, so that the two sides differ in the cache alone; it decides the verdict "
      "where it was run.\n"
      "- tau (acceptance length) is what a verify pass emits, the target's own token included, the prefill "
      "token not; its "
      "mean is per prompt, then over prompts. acceptance rate = accepted / proposed. Prompts that stop at "
      "their first token "
      "are records without a cycle and in no tau.\n";
  text += fmt::format(
      "- Intervals: percentile bootstrap over prompts, 95 %, {} resamples, seed {}. A drop is bf16 minus the "
      "channel, paired "
      "by prompt. non-inferior: the whole interval is within the margin; worse: the whole interval is beyond "
      "it; fewer than "
      "{} prompts give no verdict. Margins were fixed before the run.\n"
      "- fidelity, at the worse end of the intervals: same = top-1 at least {:g} % and delta NLL at most "
      "{:g}; close = at "
      "least {:g} % and at most {:g}; else drifts. It does not change the exit code.\n"
      "- KV bits are allocated bytes x 8 / vectors, headers and padding included. tok/s runs from the first "
      "token to the "
      "last.\n",
      o.resamples, o.seed, kMinPrompts, 100 * kSameTop1, kSameDeltaNll, 100 * kCloseTop1, kCloseDeltaNll);
  return text;
}

std::string quoted_table(const Run& run) {
  std::string text = "| what | kind | tau |\n|---|---|---|\n";
  for (const QuotedFigure& quoted : quoted_figures()) {
    text += fmt::format("| {} | {} | {} |\n", quoted.what, quoted.kind, quoted.figures);
  }
  for (std::size_t d = 0; d < run.datasets.size(); ++d) {
    std::string figures;
    for (const Cell& cell : run.cells) {
      if (cell.dataset != d) continue;
      figures += fmt::format("{}{} {}", figures.empty() ? "" : ", ", cell.channel.name,
                             figure(cell.metrics.acceptance().mean.estimate, 2));
    }
    text += fmt::format("| {} + {} on {}, block {} | {} | {} |\n", run.target.id, run.draft.id,
                        run.datasets[d].name, run.block_size,
                        run.mock() ? "MOCK, this run" : "measured, this run", figures);
  }
  return text;
}

std::string environment(const Run& run) {
  return fmt::format(
      "- kakeya {} (commit {}, {})\n- {}; {} cores, {} threads used, CPU variant {}; {:.1f} GiB; {}\n"
      "- load average at the start: {:.2f}{}\n- target {}: {} parameters, {}, sha256 `{}`\n- draft {}: {} "
      "parameters, {}, "
      "trained block {}, sha256 `{}`\n- started {}\n",
      version(), build_commit(), build_type(), run.machine.cpu, run.machine.cores, run.threads, run.isa,
      static_cast<double>(run.machine.memory_bytes) / (1 << 30), run.machine.os, run.machine.load_average,
      run.machine.load_average > 0.5 * run.machine.cores ? " (**the machine was busy: times are in doubt**)"
                                                         : "",
      run.target.id, run.target.parameters, run.target.dtype, run.target.sha256, run.draft.id,
      run.draft.parameters, run.draft.dtype, run.draft.block_size, run.draft.sha256, run.created_at);
}

}  // namespace

std::vector<QuotedFigure> quoted_figures() {
  return {
      {"original proposal: bf16 / e8-q38 / e8-q10 / e8-q4, block 16", "theory inside a mock, never measured",
       "about 15 / 14 / 12 / 8"},
      {"DFlash paper, Qwen3-8B, block 16, temperature 0, uncompressed cache", "published",
       "6.54 (GSM8K), 6.50 (HumanEval)"},
  };
}

std::vector<std::string> limits(const Run& run) {
  std::vector<std::string> lines;
  if (run.mock()) {
    lines.push_back(
        "MOCK: no model ran. Every figure is theory put into a formula and says nothing about any channel.");
    return lines;
  }
  if (run.options.target == "tiny") {
    lines.push_back(
        "The embedded pair has 7 million parameters. It shows that the machinery is right and what these "
        "channels cost this "
        "pair; it is never the result of Qwen3-8B or any other model.");
  }
  for (const Dataset& set : run.datasets) {
    if (run.options.target == "tiny" && set.name == "humaneval") {
      lines.push_back(
          "humaneval: the embedded pair solves none of it and often repeats itself, which is easy to draft: "
          "its tau "
          "flatters.");
    }
    if (set.source == "synthetic") {
      lines.push_back(fmt::format("{} is a made-up fixture here, not the published set.", set.name));
    }
    if (set.problems.size() < 20) {
      lines.push_back(fmt::format("{}: {} prompts; percentile intervals from so few are too narrow.",
                                  set.name, set.problems.size()));
    }
  }
  lines.push_back("An interval is about prompts of these data sets, one machine and one pair of models.");
  lines.push_back(
      "The draft's cache and the target's are compressed separately; this run varies the target's channel "
      "alone.");
  lines.push_back("Prompts here are short. Nothing is said about long contexts.");
  return lines;
}

std::string reproduce_command(const Run& run) {
  const RunOptions& o = run.options;
  std::vector<std::string> sets;
  for (const Dataset& set : run.datasets) sets.push_back(set.name);
  std::string text = fmt::format(
      "kakeya-llm bench acceptance --target {} --draft {} --channels {} --draft-kv {} --boundary {} "
      "--datasets {} "
      "--n-samples {} --max-tokens {} --block-size {} --verify-width {} --temperature {:g} --seed {} "
      "--protocol {} "
      "--anchors {} --prompt-style {} --resamples {}",
      o.target, o.draft, fmt::join(o.channels, ","), o.draft_kv, o.boundary, fmt::join(sets, ","),
      o.n_samples, o.max_tokens, o.block_size, o.verify_width, o.temperature, o.seed, o.protocol, o.anchors,
      o.prompt_style, o.resamples);
  for (const auto& [channel, margin] : o.margins) text += fmt::format(" --margin {}={:g}", channel, margin);
  if (o.dry_run) text += " --dry-run";
  return text + " --out-dir DIR";
}

std::string findings_markdown(const Run& run) {
  std::string text = fmt::format("# {}\n\n", run_title(run));
  if (run.mock()) {
    text += "**MOCK. A dry run with a mock engine: no model ran, nothing here was measured.**\n\n";
  }
  text += fmt::format(
      "Question: does storing the target's KV cache in a compressed channel cost DFlash acceptance, against "
      "bf16?\n\n"
      "## Answer\n\n{}\n",
      answer(run));
  if (!run.notes.empty()) {
    for (const std::string& note : run.notes) text += fmt::format("Note: {}.\n", note);
    text += "\n";
  }
  text += fmt::format(
      "## Acceptance\n\ntau and rate from the {} protocol, drop and verdict from the {} protocol.\n\n{}\n",
      primary_protocol(run.options), verdict_protocol(run.options), acceptance_table(run));
  text += fmt::format("## Fidelity, speed and memory\n\n{}\n{}\n", fidelity_table(run), checks_text(run));
  text += fmt::format("## Proposed, published, measured\n\n{}\n", quoted_table(run));
  text += fmt::format("## How it was measured\n\n{}\n## Counts\n\n{}\n## Limits\n\n", how_measured(run),
                      counts_table(run));
  for (const std::string& line : limits(run)) text += fmt::format("- {}\n", line);
  text += fmt::format("\n## Environment\n\n{}\n## Command\n\n```\n{}\n```\n", environment(run),
                      reproduce_command(run));
  return text;
}

}  // namespace kakeya::acceptance
