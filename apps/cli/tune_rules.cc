#include "cli/tune_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kakeya::cli {
namespace {

using acceptance::Interval;
using acceptance::Ratio;

double per_token(double ms, std::size_t tokens) {
  return ms / static_cast<double>(std::max<std::size_t>(tokens, 1));
}

template <class Run>
double median_ms(const std::vector<Run>& runs) {
  std::vector<double> values;
  for (const Run& run : runs) values.push_back(per_token(run.ms, run.tokens));
  return acceptance::quantile(values, 0.5);
}

// Prompt by prompt, so that a slow minute of the machine counts on both sides.
template <class Run>
double median_ratio(const std::vector<Run>& runs, const std::vector<Run>& baseline) {
  std::vector<double> values;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    values.push_back(per_token(runs[i].ms, runs[i].tokens) / per_token(baseline[i].ms, baseline[i].tokens));
  }
  return acceptance::quantile(values, 0.5);
}

std::vector<Ratio> rates(const ChannelCell& cell) {
  std::vector<Ratio> out;
  for (const ChannelRun& run : cell.runs) {
    out.push_back({100.0 * static_cast<double>(run.accepted), static_cast<double>(run.proposed)});
  }
  return out;
}

std::vector<Ratio> agreements(const ChannelCell& cell) {
  std::vector<Ratio> out;
  for (const ChannelRun& run : cell.runs) {
    out.push_back({static_cast<double>(run.top1_agree), static_cast<double>(run.positions)});
  }
  return out;
}

ChannelVerdict judge_channel(const ChannelCell& cell, const ChannelCell& baseline, const TuneRules& rules) {
  const acceptance::BootstrapOptions bootstrap;
  ChannelVerdict out;
  out.name = cell.name;
  double proposed = 0, accepted = 0, positions = 0, kl = 0;
  for (const ChannelRun& run : cell.runs) {
    proposed += static_cast<double>(run.proposed);
    accepted += static_cast<double>(run.accepted);
    positions += static_cast<double>(run.positions);
    kl += run.kl_sum;
  }
  out.acceptance_rate = proposed > 0 ? accepted / proposed : 0;
  out.kl_per_token = positions > 0 ? kl / positions : 0;
  out.top1 = acceptance::bootstrap_ratio(agreements(cell), bootstrap);
  if (proposed > 0)
    out.drop_pp = acceptance::bootstrap_ratio_difference(rates(baseline), rates(cell), bootstrap);
  out.ms_per_token = median_ms(cell.runs);
  out.time_ratio = median_ratio(cell.runs, baseline.runs);
  out.qualifies = &cell == &baseline;
  if (out.qualifies) return out;
  if (out.drop_pp && !(out.drop_pp->high <= rules.margin_pp)) {
    out.reason = fmt::format("acceptance may drop by {:.1f} points, {:.1f} allowed", out.drop_pp->high,
                             rules.margin_pp);
  } else if (!(out.top1.low >= rules.min_top1)) {
    out.reason = fmt::format("agrees with bf16 at {:.1f} % of positions or fewer, {:.1f} % asked for",
                             100 * out.top1.low, 100 * rules.min_top1);
  }
  out.qualifies = out.reason.empty();
  return out;
}

std::optional<AcceptanceBand> band_of(const ModeCell& cell, const TuneRules& rules) {
  std::vector<double> lengths;
  for (const ModeRun& run : cell.runs) {
    if (run.cycles > 0)
      lengths.push_back(1 + static_cast<double>(run.accepted) / static_cast<double>(run.cycles));
  }
  if (lengths.size() < 2) return std::nullopt;
  AcceptanceBand band;
  band.mean = acceptance::mean(lengths);
  double squares = 0;
  for (const double length : lengths) squares += (length - band.mean) * (length - band.mean);
  const double n = static_cast<double>(lengths.size());
  // Three standard errors of a window's mean, and those of the mean itself that it is compared with.
  const double variance = squares / (n - 1);
  const double reach = 3 * std::sqrt(variance / static_cast<double>(rules.window) + variance / n);
  band.low = std::max(1.0, band.mean - reach);
  band.high = band.mean + reach;
  band.window = rules.window;
  return band;
}

}  // namespace

void judge_channels(const std::vector<ChannelCell>& cells, const TuneRules& rules, TuneChoice& choice) {
  for (const ChannelCell& cell : cells) choice.channels.push_back(judge_channel(cell, cells[0], rules));
  double fastest = choice.channels[0].time_ratio;
  for (const ChannelVerdict& verdict : choice.channels) {
    if (verdict.qualifies) fastest = std::min(fastest, verdict.time_ratio);
  }
  double smallest = -1;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const ChannelVerdict& verdict = choice.channels[i];
    if (!verdict.qualifies || verdict.time_ratio > fastest * (1 + rules.tie)) continue;
    if (smallest >= 0 && cells[i].bytes_per_token >= smallest) continue;
    smallest = cells[i].bytes_per_token;
    choice.channel = i;
  }
  choice.channel_why = fmt::format(
      "the smallest of the channels that qualify and are within {:.0f} % of the fastest", 100 * rules.tie);
}

void judge_modes(const std::vector<ModeCell>& cells, const TuneRules& rules, TuneChoice& choice) {
  const ModeCell& plain = cells.back();
  double fastest = 1;
  for (const ModeCell& cell : cells) {
    ModeVerdict verdict;
    verdict.ms_per_token = median_ms(cell.runs);
    verdict.time_ratio = median_ratio(cell.runs, plain.runs);
    double cycles = 0, accepted = 0;
    for (const ModeRun& run : cell.runs) {
      cycles += static_cast<double>(run.cycles);
      accepted += static_cast<double>(run.accepted);
    }
    if (cycles > 0) verdict.acceptance_length = 1 + accepted / cycles;
    fastest = std::min(fastest, verdict.time_ratio);
    choice.modes.push_back(verdict);
  }
  // The first within the tie: auto stands before the fixed widths, and those before plain decoding.
  choice.mode = 0;
  while (choice.modes[choice.mode].time_ratio > fastest * (1 + rules.tie)) ++choice.mode;
  choice.mode_why = fmt::format(
      "the first of auto, fixed widths and off that is within {:.0f} % of the fastest", 100 * rules.tie);
  choice.band = band_of(cells[choice.mode], rules);
}

}  // namespace kakeya::cli
