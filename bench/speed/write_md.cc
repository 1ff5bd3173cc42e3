// A Markdown table as llama-bench prints it, with our columns behind, and what belongs to all rows below it.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "speed/statistics.h"
#include "speed/writers.h"

namespace kakeya::speed {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

std::string size_text(std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / kMiB;
  return mib < 1024 ? fmt::format("{:.2f} MiB", mib) : fmt::format("{:.2f} GiB", mib / 1024);
}
std::string params_text(std::uint64_t n) {
  return n < 1000000000 ? fmt::format("{:.2f} M", static_cast<double>(n) / 1e6)
                        : fmt::format("{:.2f} B", static_cast<double>(n) / 1e9);
}
std::string ratio_text(const std::optional<double>& ratio) {
  return ratio ? fmt::format("{:.2f}", *ratio) : "";
}
// "12.3 (45%)"
std::string with_share(const std::optional<double>& value, const std::optional<double>& share) {
  if (!value) return "";
  return share ? fmt::format("{:.1f} ({:.0f}%)", *value, 100 * *share) : fmt::format("{:.1f}", *value);
}
std::string model_text(const Setup& setup) {
  return setup.model.type + (setup.model.random_weights ? " RANDOM weights" : "");
}

struct Column {
  const char* name;
  int width;
  bool left;
};
constexpr Column kColumns[] = {
    {"model", 30, true},           {"size", 10, false},
    {"params", 9, false},          {"backend", 7, true},
    {"threads", 7, false},         {"kv", 7, true},
    {"test", 22, false},           {"t/s", 16, false},
    {"ms/pass", 9, false},         {"min ms", 9, false},
    {"cpu ms", 9, false},          {"x1 row", 6, false},
    {"GB/s (of DRAM)", 14, false}, {"GOPS (of int8)", 14, false},
    {"peak", 10, false},
};

std::vector<std::string> cells(const TestResult& r) {
  const std::vector<double> ts = r.tokens_per_s();
  return {model_text(r.setup),
          size_text(r.setup.model.size_bytes),
          params_text(r.setup.model.parameters),
          "CPU",
          std::to_string(r.setup.threads),
          r.setup.kv,
          r.test.name(),
          fmt::format("{:.2f} ± {:.2f}", average(ts), deviation(ts)),
          fmt::format("{:.2f}", r.pass_ms()),
          fmt::format("{:.2f}", smallest(r.ns()) / r.passes / 1e6),
          fmt::format("{:.2f}", r.pass_cpu_ms()),
          ratio_text(r.ratio_to_one_row),
          with_share(r.bandwidth_gbs(), r.share_of_bandwidth()),
          with_share(r.gops(), r.share_of_int8_peak()),
          size_text(r.peak_rss_bytes)};
}

class MarkdownWriter final : public Writer {
 public:
  explicit MarkdownWriter(std::ostream& out) : out_(out) {}

  void add(std::span<const TestResult> results) override {
    if (!seen_) write_header();
    for (const TestResult& r : results) {
      const std::vector<std::string> texts = cells(r);
      std::string line = "|";
      for (std::size_t i = 0; i < texts.size(); ++i) {
        line += kColumns[i].left ? fmt::format(" {:<{}} |", texts[i], kColumns[i].width)
                                 : fmt::format(" {:>{}} |", texts[i], kColumns[i].width);
      }
      out_ << line << '\n';
      note_limits(r);
      if (r.break_even_tokens) note_break_even(r);
      if (!r.note.empty() && std::find(notes_.begin(), notes_.end(), r.note) == notes_.end()) {
        notes_.push_back(r.note);
      }
    }
    out_ << std::flush;
  }

  void end() override {
    if (!seen_) return;
    const Limits& l = limits_;
    out_ << fmt::format(
        "\nMemory reads {:.1f} to {:.1f} GB/s beside these tests ({} buffer, last-level cache {}).",
        l.dram_gbs_min, l.dram_gbs_max, size_text(l.buffer_bytes),
        l.last_level_cache_bytes == 0 ? "unknown" : size_text(l.last_level_cache_bytes));
    if (l.int8_gops > 0)
      out_ << fmt::format(" Int8 peak ({}): {:.0f} GOPS.", l.int8_instruction, l.int8_gops);
    out_ << "\n";
    if (!break_even_.empty()) {
      out_ << "\nTokens a cycle must emit to equal decoding without the draft, (verify + draft) / one row:\n";
      for (const std::string& line : break_even_) out_ << line << '\n';
    }
    for (const std::string& note : notes_) out_ << "\nNote: " << note << '\n';
    out_ << std::flush;
  }

 private:
  void write_header() {
    std::string header = "|", rule = "|";
    for (const Column& column : kColumns) {
      header += column.left ? fmt::format(" {:<{}} |", column.name, column.width)
                            : fmt::format(" {:>{}} |", column.name, column.width);
      const std::string dashes(static_cast<std::size_t>(column.width - 1), '-');
      rule += " " + dashes + (column.left ? "- |" : ": |");
    }
    out_ << header << '\n' << rule << '\n' << std::flush;
  }
  void note_limits(const TestResult& r) {
    const double low = seen_ ? std::min(limits_.dram_gbs_min, r.limits.dram_gbs_min) : r.limits.dram_gbs_min;
    const double high = std::max(limits_.dram_gbs_max, r.limits.dram_gbs_max);
    const double gops = std::max(limits_.int8_gops, r.limits.int8_gops);
    limits_ = r.limits;
    limits_.dram_gbs_min = low;
    limits_.dram_gbs_max = high;
    limits_.int8_gops = gops;
    seen_ = true;
  }
  // "- random-qwen3-8b, bf16, depth 64: rows 4: 1.90, rows 8: 2.75"
  void note_break_even(const TestResult& r) {
    const std::string head = fmt::format("- {}, {} threads, {}, depth {}:", model_text(r.setup),
                                         r.setup.threads, r.setup.kv, r.test.depth);
    if (break_even_.empty() || !break_even_.back().starts_with(head))
      break_even_.push_back(head);
    else
      break_even_.back() += ",";
    break_even_.back() += fmt::format(" rows {}: {:.2f}", r.test.n_rows, *r.break_even_tokens);
  }

  std::ostream& out_;
  Limits limits_;
  bool seen_ = false;
  std::vector<std::string> break_even_, notes_;
};

}  // namespace

std::unique_ptr<Writer> make_markdown_writer(std::ostream& out) {
  return std::make_unique<MarkdownWriter>(out);
}

}  // namespace kakeya::speed
