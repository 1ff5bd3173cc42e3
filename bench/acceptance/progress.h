// What a person sees while cells run: a bar per channel on a terminal, plain lines elsewhere. Writes to
// stderr only.
#pragma once
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "acceptance/records.h"

namespace kakeya::acceptance {

struct ProgressOptions {
  std::FILE* out = stderr;
  bool terminal = false;  // bars that redraw themselves
  bool mock = false;
  std::string protocol;  // whose lengths the running tau is made from
};

class Progress {
 public:
  // parts_total: of the whole run, already finished ones left out.
  Progress(ProgressOptions options, std::size_t parts_total);

  void note(const std::string& line);
  void start_dataset(const std::string& name, const std::vector<std::string>& channels, std::size_t prompts);
  // A finished part counts half a prompt when both protocols run; records tell tau and speed.
  void part_done(std::size_t channel, const Record& record, bool record_complete, bool resumed);
  void end_dataset();

 private:
  struct Row {
    std::string channel;
    std::size_t records = 0, parts = 0;
    double length_sum = 0, tps_sum = 0;
    std::size_t with_cycles = 0, with_tps = 0;
  };
  void draw();
  void plain(bool force);
  std::string bar_line(const Row& row) const;
  std::string eta() const;

  ProgressOptions options_;
  std::size_t parts_total_, parts_run_ = 0;
  std::chrono::steady_clock::time_point started_, last_plain_;
  std::string dataset_;
  std::size_t prompts_ = 0;
  std::vector<Row> rows_;
  int lines_on_screen_ = 0;
};

// "0:07", "12:34", "1:02:03".
std::string clock_text(double seconds);

}  // namespace kakeya::acceptance
