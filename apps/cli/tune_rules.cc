#include "cli/tune_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kakeya::cli {
namespace {

using acceptance::Interval;
using acceptance::Ratio;

template <class Cell>
std::vector<TimeSamples> times_of_all(const std::vector<Cell>& cells) {
  std::vector<TimeSamples> out;
  for (const Cell& cell : cells) out.push_back(times_of(cell));
  return out;
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
  out.ms_per_token = median_time(times_of(cell));
  out.time_ratio = time_ratio(times_of(cell), times_of(baseline));
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
  std::vector<TimeSamples> times;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    choice.channels.push_back(judge_channel(cells[i], cells[0], rules));
    if (!choice.channels[i].qualifies) continue;
    times.push_back(times_of(cells[i]));
    of.push_back(i);
  }
  const std::vector<TimeVerdict> verdicts = compare_times(times, rules.tie);
  double smallest = -1;
  for (std::size_t i = 0; i < of.size(); ++i) {
    choice.channels[of[i]].against_best = verdicts[i];
    if (verdicts[i].standing != Standing::kBest && verdicts[i].standing != Standing::kEqual) continue;
    if (smallest >= 0 && cells[of[i]].bytes_per_token >= smallest) continue;
    smallest = cells[of[i]].bytes_per_token;
    choice.channel = of[i];
  }
  choice.channel_why = fmt::format(
      "of the channels that qualify: the fewest bytes among the fastest and those whose whole interval is "
      "within "
      "{:.0f} % of it",
      100 * rules.tie);
}

void judge_modes(const std::vector<ModeCell>& cells, const TuneRules& rules, TuneChoice& choice) {
  const std::vector<TimeSamples> times = times_of_all(cells);
  const std::vector<TimeVerdict> verdicts = compare_times(times, rules.tie);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    ModeVerdict& verdict = choice.modes.emplace_back();
    verdict.ms_per_token = median_time(times[i]);
    verdict.time_ratio = time_ratio(times[i], times[0]);
    verdict.against_best = verdicts[i];
    double cycles = 0, accepted = 0;
    for (const ModeRun& run : cells[i].runs) {
      cycles += static_cast<double>(run.cycles);
      accepted += static_cast<double>(run.accepted);
    }
    if (cycles > 0) verdict.acceptance_length = 1 + accepted / cycles;
  }
  choice.mode = 0;
  while (verdicts[choice.mode].standing == Standing::kSlower) ++choice.mode;
  choice.mode_why = fmt::format(
      "the first of off, auto and the fixed widths that is not certainly more than {:.0f} % slower than "
      "another",
      100 * rules.tie);
  choice.band = band_of(cells[choice.mode], rules);
}

ChannelState channel_state(const std::vector<ChannelCell>& cells, const TuneRules& rules) {
  TuneChoice choice;
  judge_channels(cells, rules, choice);
  ChannelState out{{}, true};
  for (const ChannelVerdict& verdict : choice.channels) {
    out.matter.push_back(verdict.qualifies);
    if (verdict.against_best && verdict.against_best->standing == Standing::kUndecided) out.decided = false;
  }
  return out;
}

bool modes_decided(const std::vector<ModeCell>& cells, const TuneRules& rules) {
  return decided(compare_times(times_of_all(cells), rules.tie));
}

}  // namespace kakeya::cli
