#include "acceptance/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "acceptance/metrics.h"

namespace kakeya::acceptance {
namespace {

constexpr std::size_t kBarCells = 24;
constexpr double kPlainSeconds = 5;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string bar(std::size_t done, std::size_t total) {
  const std::size_t eighths = total == 0 ? 0 : done * kBarCells * 8 / total;
  static const char* const kPart[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  std::size_t cells = eighths / 8;
  if (eighths % 8 != 0) {
    text += kPart[eighths % 8];
    ++cells;
  }
  return text + std::string(kBarCells - cells, ' ');
}

}  // namespace

std::string clock_text(double seconds) {
  const auto s = static_cast<long>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

Progress::Progress(ProgressOptions options, std::size_t parts_total)
    : options_(std::move(options)),
      parts_total_(parts_total),
      started_(std::chrono::steady_clock::now()),
      last_plain_(started_) {}

void Progress::note(const std::string& line) {
  fmt::print(options_.out, "{}\n", line);
  std::fflush(options_.out);
}

void Progress::start_dataset(const std::string& name, const std::vector<std::string>& channels,
                             std::size_t prompts) {
  dataset_ = name;
  prompts_ = prompts;
  rows_.clear();
  for (const std::string& channel : channels) rows_.push_back({.channel = channel});
  lines_on_screen_ = 0;
  note(fmt::format("{}{}: {} prompts x {} channels", options_.mock ? "MOCK " : "", name, prompts,
                   channels.size()));
}

void Progress::part_done(std::size_t channel, const Record& record, bool record_complete, bool resumed) {
  Row& row = rows_[channel];
  ++row.parts;
  if (!resumed) ++parts_run_;
  if (record_complete) {
    ++row.records;
    const std::vector<CycleCount> cycles = cycles_of(record, options_.protocol);
    double lengths = 0;
    for (const CycleCount& cycle : cycles) lengths += cycle.accepted + 1;
    if (!cycles.empty()) {
      row.length_sum += lengths / static_cast<double>(cycles.size());
      ++row.with_cycles;
    }
    if (record.free && record.free->decode_ms > 0 && record.free->output_ids.size() > 1) {
      row.tps_sum += static_cast<double>(record.free->output_ids.size() - 1) * 1000 / record.free->decode_ms;
      ++row.with_tps;
    }
  }
  if (resumed) return;
  if (options_.terminal) {
    draw();
  } else {
    plain(false);
  }
}

void Progress::end_dataset() {
  if (options_.terminal) {
    draw();
    lines_on_screen_ = 0;
  } else {
    plain(true);
  }
}

std::string Progress::eta() const {
  if (parts_run_ == 0) return "?";
  const double each = seconds_since(started_) / static_cast<double>(parts_run_);
  return clock_text(each * static_cast<double>(parts_total_ - std::min(parts_total_, parts_run_)));
}

std::string Progress::bar_line(const Row& row) const {
  std::string line =
      fmt::format("  {:<8} {} {:>3}/{}", row.channel, bar(row.records, prompts_), row.records, prompts_);
  if (row.with_cycles > 0)
    line += fmt::format("  tau {:5.2f}", row.length_sum / static_cast<double>(row.with_cycles));
  if (row.with_tps > 0)
    line += fmt::format("  {:6.1f} tok/s", row.tps_sum / static_cast<double>(row.with_tps));
  const double each = parts_run_ == 0 ? 0 : seconds_since(started_) / static_cast<double>(parts_run_);
  const std::size_t left = prompts_ - std::min(prompts_, row.records);
  // Channels take turns, so a cell's end is that of all rows together.
  if (left > 0 && each > 0) {
    const double parts_each =
        static_cast<double>(row.parts) / static_cast<double>(std::max<std::size_t>(1, row.records));
    line += fmt::format("  ETA {}", clock_text(each * parts_each * static_cast<double>(left * rows_.size())));
  }
  return line;
}

void Progress::draw() {
  if (lines_on_screen_ > 0) fmt::print(options_.out, "\x1b[{}A", lines_on_screen_);
  for (const Row& row : rows_) fmt::print(options_.out, "\r\x1b[2K{}\n", bar_line(row));
  fmt::print(options_.out, "\r\x1b[2K  whole run: {} elapsed, ETA {}\n", clock_text(seconds_since(started_)),
             eta());
  lines_on_screen_ = static_cast<int>(rows_.size()) + 1;
  std::fflush(options_.out);
}

void Progress::plain(bool force) {
  if (!force && seconds_since(last_plain_) < kPlainSeconds) return;
  last_plain_ = std::chrono::steady_clock::now();
  std::string line = fmt::format("{}{}:", options_.mock ? "MOCK " : "", dataset_);
  for (const Row& row : rows_) {
    line += fmt::format("  {} {}/{}", row.channel, row.records, prompts_);
    if (row.with_cycles > 0)
      line += fmt::format(" tau {:.2f}", row.length_sum / static_cast<double>(row.with_cycles));
  }
  note(fmt::format("{}  elapsed {} ETA {}", line, clock_text(seconds_since(started_)), eta()));
}

}  // namespace kakeya::acceptance
