#include "acceptance/html_report.h"

#include <fmt/format.h>
#include <kakeya/version.h>

#include "acceptance/charts.h"
#include "acceptance/findings.h"
#include "acceptance/html_style.h"
#include "acceptance/summary.h"
#include "acceptance/svg.h"

namespace kakeya::acceptance {
namespace {

std::string range(const Interval& i, int decimals, double scale = 1) {
  return fmt::format("{} <span class=\"soft\">[{}, {}]</span>", figure(scale * i.estimate, decimals),
                     figure(scale * i.low, decimals), figure(scale * i.high, decimals));
}

// A sign and a colour: neither alone carries the meaning.
std::string badge(Verdict verdict) {
  const char* css = "plain";
  const char* sign = "–";
  if (verdict == Verdict::kNonInferior) css = "good", sign = "✓";
  if (verdict == Verdict::kWorse) css = "bad", sign = "✕";
  if (verdict == Verdict::kInconclusive) css = "unsure", sign = "?";
  return fmt::format("<span class=\"badge {}\"><b>{}</b>{}</span>", css, sign, to_string(verdict));
}

std::string badge(Fidelity fidelity) {
  const char* css = "plain";
  const char* sign = "–";
  if (fidelity == Fidelity::kSame) css = "good", sign = "✓";
  if (fidelity == Fidelity::kClose) css = "unsure", sign = "≈";
  if (fidelity == Fidelity::kDrifts) css = "bad", sign = "✕";
  return fmt::format("<span class=\"badge {}\"><b>{}</b>{}</span>", css, sign, to_string(fidelity));
}

std::string figure_block(const std::string& caption, const std::string& svg) {
  if (svg.empty()) return {};
  return fmt::format("<figure><figcaption>{}</figcaption>\n{}</figure>\n", escape_markup(caption), svg);
}

std::string card(const Run& run, const std::string& channel) {
  double bits = 0;
  std::string lines;
  for (const Cell& cell : run.cells) {
    if (cell.channel.name != channel) continue;
    bits = cell.channel.bits_allocated;
    lines += fmt::format("<p class=\"soft\"><b>{}</b>: {}.</p>\n", escape_markup(run.dataset_of(cell).name),
                         escape_markup(cell.comparison.text));
  }
  const std::optional<Fidelity> fidelity = run.channel_fidelity(channel);
  return fmt::format(
      "<div class=\"card s{}\"><div><span class=\"name\">{}</span><span class=\"bits\">{:.0f} bits a "
      "vector</span></div>\n"
      "<p>Acceptance: {}</p>\n<p>Fidelity: {}</p>\n{}</div>\n",
      series_of(run, channel) % 8, escape_markup(channel), bits, badge(run.channel_verdict(channel)),
      fidelity ? badge(*fidelity) : "not measured", lines);
}

std::string header(const Run& run) {
  std::string text = fmt::format("<h1>{}</h1>\n", escape_markup(run_title(run)));
  text += fmt::format(
      "<p class=\"soft\">Does storing the KV cache in fewer bits cost DFlash acceptance? Against bf16, "
      "paired by prompt. {}, "
      "kakeya {} ({}), {}, {} threads, {}.</p>\n",
      escape_markup(run.created_at), version(), build_commit(), escape_markup(run.machine.cpu), run.threads,
      escape_markup(run.isa));
  if (run.mock()) {
    text +=
        "<div class=\"mock\">MOCK. A dry run with a mock engine: no model ran, nothing on this page was "
        "measured.</div>\n";
  }
  for (const std::string& note : run.notes)
    text += fmt::format("<p class=\"soft\">Note: {}.</p>\n", escape_markup(note));
  for (const Cell& cell : run.cells) {
    for (const Check& check : cell.checks) {
      if (check.passed) continue;
      text +=
          fmt::format("<div class=\"mock\">Check failed, {} {}: {} ({}). The figures are in doubt.</div>\n",
                      escape_markup(run.dataset_of(cell).name), escape_markup(cell.channel.name),
                      escape_markup(check.name), escape_markup(check.detail));
    }
  }
  return text;
}

std::string verdicts(const Run& run) {
  std::string text = "<div class=\"cards\">\n";
  for (const std::string& channel : run.channels()) {
    if (channel != "bf16") text += card(run, channel);
  }
  text += "</div>\n<div class=\"grid\">\n";
  text += figure_block("Cost of each channel (shaded: within its margin)", drop_chart(run));
  text += figure_block("Memory", memory_chart(run));
  return text + "</div>\n";
}

std::string acceptance_row(const Cell& cell) {
  const Acceptance& a = cell.metrics.acceptance();
  const Comparison& c = cell.comparison;
  const bool baseline = c.verdict == Verdict::kBaseline;
  return fmt::format(
      "<tr><td>{}</td><td class=\"num\">{:.0f}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>"
      "<td class=\"num\">{} %</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td>{}</td></tr>\n",
      escape_markup(cell.channel.name), cell.channel.bits_allocated, range(a.mean, 2), figure(a.pooled, 2),
      figure(100 * a.rate.estimate, 1), baseline ? "" : range(c.drop_pp, 2),
      c.margin_pp ? fmt::format("{:g}", *c.margin_pp) : "", badge(c.verdict));
}

std::string fidelity_row(const Cell& cell) {
  const CellMetrics& m = cell.metrics;
  const bool graded = m.correctness && m.correctness->n > 0;
  return fmt::format(
      "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td>{}</td>"
      "<td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>\n",
      escape_markup(cell.channel.name), m.agreement ? range(m.agreement->top1, 2, 100) + " %" : "–",
      m.agreement ? figure(m.agreement->kl_per_token.estimate, 5) : "–",
      m.agreement ? range(m.agreement->delta_nll, 5) : "–", cell.fidelity ? badge(cell.fidelity->grade) : "–",
      graded ? fmt::format("{}/{}", m.correctness->right, m.correctness->n) : "–",
      m.tps ? figure(m.tps->mean, 1) : "–", m.ttft_ms ? figure(m.ttft_ms->mean, 1) : "–");
}

std::string table_head(const char* title, const std::vector<std::string>& columns) {
  std::string text = fmt::format("<h3>{}</h3>\n<div class=\"scroll\"><table>\n<tr>", title);
  for (const std::string& column : columns) {
    const bool words = column == "channel" || column == "verdict";
    text += fmt::format("<th{}>{}</th>", words ? "" : " class=\"num\"", column);
  }
  return text + "</tr>\n";
}

std::string tables(const std::vector<const Cell*>& cells) {
  std::string text = table_head("Acceptance", {"channel", "bits a vector", "tau, mean", "tau, pooled",
                                               "acceptance rate", "drop, pp", "margin, pp", "verdict"});
  for (const Cell* cell : cells) text += acceptance_row(*cell);
  text += "</table></div>\n";
  text += table_head("Fidelity and speed",
                     {"channel", "top-1 as bf16", "KL, nats a token", "delta NLL, nats a token", "verdict",
                      "right answers", "tok/s", "TTFT, ms"});
  for (const Cell* cell : cells) text += fidelity_row(*cell);
  return text + "</table></div>\n";
}

std::string dataset_section(const Run& run, std::size_t d) {
  std::vector<const Cell*> cells;
  for (const Cell& cell : run.cells) {
    if (cell.dataset == d) cells.push_back(&cell);
  }
  const Dataset& set = run.datasets[d];
  std::string text = fmt::format(
      "<h2>{}</h2>\n<p class=\"soft\">{} prompts of {}, source {}; tau from the {} protocol, drop and "
      "verdict from the {} "
      "protocol.</p>\n<div class=\"grid\">\n",
      escape_markup(set.name), cells.front()->records.size(), set.n_available, escape_markup(set.source),
      primary_protocol(run.options), verdict_protocol(run.options));
  text += figure_block("Acceptance length against cache size, 95 % intervals", tau_bits_chart(run, cells));
  text += figure_block("How far drafts stand", position_chart(run, cells));
  text += figure_block("Acceptance length, all cycles", histogram_chart(run, cells));
  text += figure_block("Speed", speed_chart(run, cells));
  return text + "</div>\n" + tables(cells);
}

std::string quoted_section(const Run& run) {
  std::string text =
      "<h2>Proposed, published, measured</h2>\n<div "
      "class=\"scroll\"><table>\n<tr><th>what</th><th>kind</th><th>tau</th></tr>\n";
  for (const QuotedFigure& quoted : quoted_figures()) {
    text += fmt::format(
        "<tr><td class=\"wrap\">{}</td><td class=\"wrap\">{}</td><td class=\"wrap\">{}</td></tr>\n",
        escape_markup(quoted.what), escape_markup(quoted.kind), escape_markup(quoted.figures));
  }
  for (std::size_t d = 0; d < run.datasets.size(); ++d) {
    std::string figures;
    for (const Cell& cell : run.cells) {
      if (cell.dataset != d) continue;
      figures += fmt::format("{}{} {}", figures.empty() ? "" : ", ", cell.channel.name,
                             figure(cell.metrics.acceptance().mean.estimate, 2));
    }
    text += fmt::format(
        "<tr><td class=\"wrap\">{} + {} on {}, block {}</td><td>{}</td><td class=\"wrap\">{}</td></tr>\n",
        escape_markup(run.target.id), escape_markup(run.draft.id), escape_markup(run.datasets[d].name),
        run.block_size, run.mock() ? "MOCK, this run" : "measured, this run", escape_markup(figures));
  }
  return text + "</table></div>\n";
}

std::string closing(const Run& run) {
  std::string text = "<h2>What this does not say</h2>\n<ul>\n";
  for (const std::string& line : limits(run)) text += fmt::format("<li>{}</li>\n", escape_markup(line));
  text +=
      "</ul>\n<h2>Again</h2>\n<p>FINDINGS.md beside this page has the definitions, counts and "
      "environment.</p>\n";
  return text + fmt::format("<pre>{}</pre>\n", escape_markup(reproduce_command(run)));
}

}  // namespace

std::string html_report(const Run& run) {
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style></head>\n<body><main>\n",
      escape_markup(run_title(run)), kReportStyle);
  page += header(run) + verdicts(run);
  for (std::size_t d = 0; d < run.datasets.size(); ++d) page += dataset_section(run, d);
  return page + quoted_section(run) + closing(run) + "</main></body></html>\n";
}

}  // namespace kakeya::acceptance
