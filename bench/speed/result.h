// One test and what came of it: what the writers print.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kakeya::speed {

enum class TestKind {
  kPrompt,     // a prompt
  kGenerate,   // tokens one by one
  kPromptGen,  // both
  kRows,       // one pass of rows with all logits
  kPropose,    // the draft fills a block
  kObserve,    // the draft takes in states
  kSimulated,  // draft, verify, keep what chance says
};

struct Test {
  TestKind kind = TestKind::kPrompt;
  std::size_t depth = 0;
  std::size_t n_prompt = 0, n_gen = 0;
  std::size_t n_rows = 0;       // rows of a pass; of a draft its block or the rows it takes in; verify width
  double simulated_tokens = 0;  // kSimulated: mean tokens a cycle that was asked for
  // "pp512", "tg128@d4096", "pp512+tg128", "rows16@d16384", "draft-propose16", "draft-observe1",
  // "SIMULATED-3.5-tg128-rows16"
  std::string name() const;
  // What tokens per second count.
  std::size_t tokens() const;
};

struct ModelFacts {
  std::string filename, type;  // type: "qwen3 8.19B q4_0"
  std::uint64_t size_bytes = 0, parameters = 0;
  bool random_weights = false;
};

struct Setup {
  std::string build_commit, cpu, isa;
  ModelFacts model;
  std::string draft;  // its id; empty = none
  bool draft_random_weights = false;
  std::string kv, draft_kv;
  std::size_t threads = 0, batch = 0;  // batch: rows a prompt is run in at once
};

// Probed just before and just after the tests they stand beside.
struct Limits {
  double dram_gbs = 0;  // the higher of both probes
  double dram_gbs_min = 0, dram_gbs_max = 0;
  std::uint64_t buffer_bytes = 0, last_level_cache_bytes = 0;
  double int8_gops = 0;  // 0 = the CPU variant has no int8 products of its own
  std::string int8_instruction;
};

struct TestResult {
  Test test;
  Setup setup;
  std::string test_time;  // "2026-01-31T12:34:56Z"
  std::vector<std::uint64_t> samples_ns, samples_cpu_ns;
  std::size_t emitted_tokens = 0;           // kSimulated: drawn
  std::optional<double> bytes_per_pass;     // weights and packed rows read; none for the draft's parts
  std::optional<double> ops_per_pass;       // of the weight matrices; none where they are not int8
  double passes = 1;                        // of the target in one sample
  std::optional<double> ratio_to_one_row;   // medians; none without a one-row test beside it
  std::optional<double> break_even_tokens;  // tokens a cycle must emit to equal decoding without a draft
  Limits limits;
  std::uint64_t peak_rss_bytes = 0;
  std::string note;

  std::vector<double> ns() const { return {samples_ns.begin(), samples_ns.end()}; }
  std::vector<double> tokens_per_s() const;
  double pass_ms() const;      // median
  double pass_cpu_ms() const;  // median; all threads, so up to that many times the wall time
  std::optional<double> bandwidth_gbs() const;
  std::optional<double> share_of_bandwidth() const;
  std::optional<double> gops() const;
  std::optional<double> share_of_int8_peak() const;
};

}  // namespace kakeya::speed
