#include "speed/result.h"

#include <fmt/format.h>

#include "speed/statistics.h"

namespace kakeya::speed {

std::string Test::name() const {
  std::string out;
  switch (kind) {
    case TestKind::kPrompt:
      out = fmt::format("pp{}", n_prompt);
      break;
    case TestKind::kGenerate:
      out = fmt::format("tg{}", n_gen);
      break;
    case TestKind::kPromptGen:
      out = fmt::format("pp{}+tg{}", n_prompt, n_gen);
      break;
    case TestKind::kRows:
      out = fmt::format("rows{}", n_rows);
      break;
    case TestKind::kPropose:
      out = fmt::format("draft-propose{}", n_rows);
      break;
    case TestKind::kObserve:
      out = fmt::format("draft-observe{}", n_rows);
      break;
    case TestKind::kSimulated:
      out = fmt::format("SIMULATED-{}-tg{}-rows{}", simulated_tokens, n_gen, n_rows);
      break;
  }
  return depth == 0 ? out : out + fmt::format("@d{}", depth);
}

std::size_t Test::tokens() const {
  const bool rows = kind == TestKind::kRows || kind == TestKind::kPropose || kind == TestKind::kObserve;
  return rows ? n_rows : n_prompt + n_gen;
}

std::vector<double> TestResult::tokens_per_s() const {
  const std::size_t tokens = test.kind == TestKind::kSimulated ? emitted_tokens : test.tokens();
  std::vector<double> out;
  for (const std::uint64_t ns : samples_ns) {
    out.push_back(1e9 * static_cast<double>(tokens) / static_cast<double>(ns));
  }
  return out;
}

double TestResult::pass_ms() const { return median(ns()) / passes / 1e6; }

double TestResult::pass_cpu_ms() const {
  return median(std::vector<double>(samples_cpu_ns.begin(), samples_cpu_ns.end())) / passes / 1e6;
}

std::optional<double> TestResult::bandwidth_gbs() const {
  if (!bytes_per_pass) return {};
  return *bytes_per_pass / pass_ms() / 1e6;
}

std::optional<double> TestResult::share_of_bandwidth() const {
  const auto gbs = bandwidth_gbs();
  if (!gbs || limits.dram_gbs == 0) return {};
  return *gbs / limits.dram_gbs;
}

std::optional<double> TestResult::gops() const {
  if (!ops_per_pass) return {};
  return *ops_per_pass / pass_ms() / 1e6;
}

std::optional<double> TestResult::share_of_int8_peak() const {
  const auto reached = gops();
  if (!reached || limits.int8_gops == 0) return {};
  return *reached / limits.int8_gops;
}

}  // namespace kakeya::speed
