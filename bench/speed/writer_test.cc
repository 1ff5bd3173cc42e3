// Every format against what was written by hand: 16 rows in 100 and 400 ms.
#include "speed/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace kakeya::speed {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TestResult sixteen_rows() {
  TestResult r;
  r.test = {.kind = TestKind::kRows, .depth = 64, .n_rows = 16};
  r.setup.build_commit = "abc1234";
  r.setup.cpu = "A \"CPU\"";
  r.setup.isa = "avx2";
  r.setup.model = {"m.gguf", "qwen3 8.19B q4_0", 4294967296, 8190000000, false};
  r.setup.kv = "e8-q10";
  r.setup.draft_kv = "bf16";
  r.setup.threads = 2;
  r.setup.batch = 256;
  r.test_time = "2026-01-31T12:34:56Z";
  r.samples_ns = {100000000, 400000000};
  r.samples_cpu_ns = {200000000, 700000000};
  r.bytes_per_pass = 5e9;
  r.ops_per_pass = 5e10;
  r.ratio_to_one_row = 2.5;
  r.limits = {40, 30, 40, 1073741824, 33554432, 1000, "vpmaddubsw"};
  r.peak_rss_bytes = 5368709120;
  return r;
}

TestResult simulated() {
  TestResult r = sixteen_rows();
  r.test = {.kind = TestKind::kSimulated, .n_gen = 32, .n_rows = 8, .simulated_tokens = 3.5};
  r.setup.model.random_weights = true;
  r.setup.draft = "d";
  r.emitted_tokens = 40;
  r.passes = 10;
  r.bytes_per_pass = r.ops_per_pass = r.ratio_to_one_row = {};
  r.note = "SIMULATED: by chance";
  return r;
}

std::string written(const char* format, const std::vector<TestResult>& results) {
  std::ostringstream out;
  const auto writer = make_writer(format, out);
  for (const TestResult& r : results) writer->add({&r, 1});
  writer->end();
  return out.str();
}

TEST(JsonWriter, KeepsTheNamesOfLlamaBenchAndAddsOurs) {
  const auto all = nlohmann::json::parse(written("json", {sixteen_rows(), simulated()}));
  ASSERT_EQ(all.size(), 2u);
  const auto expected = nlohmann::json::parse(R"({
    "build_commit": "abc1234", "build_number": 0, "cpu_info": "A \"CPU\"", "gpu_info": "", "backends": "CPU",
    "model_filename": "m.gguf", "model_type": "qwen3 8.19B q4_0", "model_size": 4294967296,
    "model_n_params": 8190000000, "n_batch": 256, "n_ubatch": 256, "n_threads": 2, "type_k": "e8-q10",
    "type_v": "e8-q10", "n_prompt": 0, "n_gen": 0, "n_depth": 64, "test_time": "2026-01-31T12:34:56Z",
    "avg_ns": 250000000, "stddev_ns": 212132034, "avg_ts": 100.0,
    "test": "rows16@d64", "weights": "file", "kv_channel": "e8-q10", "draft": "", "draft_weights": "",
    "draft_kv_channel": "", "isa": "avx2", "n_rows": 16, "simulated": false, "simulated_tokens_per_cycle": null,
    "emitted_tokens": null, "median_ns": 250000000, "min_ns": 100000000, "ms_per_pass": 250.0, "cpu_ms_per_pass": 450.0,
    "ratio_to_one_row": 2.5, "break_even_tokens": null, "bytes_per_pass": 5000000000, "bandwidth_gbs": 20.0,
    "share_of_bandwidth": 0.5, "gops": 200.0, "share_of_int8_peak": 0.2,
    "limits": {"dram_gbs": 40.0, "dram_gbs_min": 30.0, "dram_gbs_max": 40.0, "dram_buffer_bytes": 1073741824,
               "last_level_cache_bytes": 33554432, "int8_gops": 1000.0, "int8_instruction": "vpmaddubsw"},
    "peak_rss_bytes": 5368709120, "note": "", "samples_ns": [100000000, 400000000],
    "samples_ts": [160.0, 40.0], "samples_cpu_ns": [200000000, 700000000]})");
  auto found = all[0];
  EXPECT_NEAR(found["stddev_ts"], 84.852813742385706, 1e-9);
  found.erase("stddev_ts");
  EXPECT_EQ(found, expected);

  EXPECT_EQ(all[1]["model_type"], "qwen3 8.19B q4_0 RANDOM weights");
  EXPECT_EQ(all[1]["weights"], "random");
  EXPECT_EQ(all[1]["test"], "SIMULATED-3.5-tg32-rows8");
  EXPECT_EQ(all[1]["simulated"], true);
  EXPECT_EQ(all[1]["simulated_tokens_per_cycle"], 3.5);
  EXPECT_EQ(all[1]["avg_ts"], 250.0);      // 40 tokens in 0.1 s and in 0.4 s
  EXPECT_EQ(all[1]["ms_per_pass"], 25.0);  // ten cycles
  EXPECT_EQ(all[1]["bandwidth_gbs"], nullptr);
}

TEST(JsonLinesWriter, WritesTheSameObjectsOneALine) {
  std::istringstream lines(written("jsonl", {sixteen_rows(), simulated()}));
  const auto all = nlohmann::json::parse(written("json", {sixteen_rows(), simulated()}));
  std::string line;
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(nlohmann::json::parse(line), all[i]);
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(CsvWriter, QuotesEveryValueBelowOneHeader) {
  std::istringstream lines(written("csv", {sixteen_rows(), simulated()}));
  std::string header, first, second, rest;
  std::getline(lines, header);
  std::getline(lines, first);
  std::getline(lines, second);
  EXPECT_FALSE(std::getline(lines, rest));
  EXPECT_EQ(
      header,
      "build_commit,build_number,cpu_info,gpu_info,backends,model_filename,model_type,model_size,"
      "model_n_params,n_batch,n_ubatch,n_threads,type_k,type_v,n_prompt,n_gen,n_depth,test_time,avg_ns,"
      "stddev_ns,avg_ts,stddev_ts,test,weights,kv_channel,draft,draft_weights,draft_kv_channel,isa,n_rows,"
      "simulated,simulated_tokens_per_cycle,emitted_tokens,median_ns,min_ns,ms_per_pass,cpu_ms_per_pass,"
      "ratio_to_one_row,"
      "break_even_tokens,bytes_per_pass,bandwidth_gbs,share_of_bandwidth,gops,share_of_int8_peak,"
      "limits_dram_gbs,limits_dram_gbs_min,limits_dram_gbs_max,limits_dram_buffer_bytes,"
      "limits_last_level_cache_bytes,limits_int8_gops,limits_int8_instruction,peak_rss_bytes,note");
  EXPECT_EQ(
      first,
      R"("abc1234","0","A ""CPU""","","CPU","m.gguf","qwen3 8.19B q4_0","4294967296","8190000000",)"
      R"("256","256","2","e8-q10","e8-q10","0","0","64","2026-01-31T12:34:56Z","250000000","212132034",)"
      R"("100.0","84.8528137423857","rows16@d64","file","e8-q10","","","","avx2","16","false","","",)"
      R"("250000000","100000000","250.0","450.0","2.5","","5000000000","20.0","0.5","200.0","0.2","40.0","30.0",)"
      R"("40.0","1073741824","33554432","1000.0","vpmaddubsw","5368709120","")");
  EXPECT_THAT(second, HasSubstr(R"("SIMULATED-3.5-tg32-rows8","random")"));
  EXPECT_THAT(second, HasSubstr("RANDOM weights"));
}

TEST(MarkdownWriter, PrintsATableAndWhatBelongsToAllOfIt) {
  TestResult even = sixteen_rows(), eight = sixteen_rows();
  even.break_even_tokens = 3.25;
  eight.test.n_rows = 8;
  eight.break_even_tokens = 2;
  const std::string text = written("md", {eight, even, simulated()});
  EXPECT_THAT(text,
              StartsWith("| model                          |       size |    params | backend | threads |"));
  EXPECT_THAT(
      text,
      HasSubstr("| qwen3 8.19B q4_0               |   4.00 GiB |    8.19 B | CPU     |       2 | "
                "e8-q10  |             rows16@d64 |   100.00 ± 84.85 |    250.00 |    100.00 |    450.00 |   "
                "2.50 |     20.0 (50%) |    200.0 (20%) |   5.00 GiB |\n"));
  EXPECT_THAT(text,
              HasSubstr("\n| ------------------------------ | ---------: | --------: | ------- | ------: |"));
  EXPECT_THAT(text, HasSubstr("| qwen3 8.19B q4_0 RANDOM weights |"));
  EXPECT_THAT(text,
              HasSubstr("Memory reads 30.0 to 40.0 GB/s beside these tests (1.00 GiB buffer, last-level "
                        "cache 32.00 MiB). Int8 peak (vpmaddubsw): 1000 GOPS."));
  EXPECT_THAT(text,
              HasSubstr("- qwen3 8.19B q4_0, 2 threads, e8-q10, depth 64: rows 8: 2.00, rows 16: 3.25\n"));
  EXPECT_THAT(text, HasSubstr("Note: SIMULATED: by chance\n"));
  EXPECT_THAT(written("md", {sixteen_rows()}), Not(HasSubstr("SIMULATED")));
}

TEST(Writers, WriteNothingWhenNothingWasMeasured) {
  for (const char* format : {"md", "csv", "json", "jsonl"}) EXPECT_EQ(written(format, {}), "") << format;
}

}  // namespace
}  // namespace kakeya::speed
