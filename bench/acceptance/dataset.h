// Problems to generate on: local files, the Hugging Face rows API with a cache on disk, or (only when
// allowed) a synthetic fixture. Selection by seed.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kakeya::acceptance {

enum class TaskKind { kMath, kCode };  // graded by final number; graded by running tests

struct Problem {
  std::size_t index = 0;  // row in the data set
  std::string task_id;    // "gsm8k/17", "HumanEval/3"
  TaskKind kind = TaskKind::kMath;
  std::string prompt;             // the question, or the code to complete
  std::string answer;             // kMath: the final number as published
  std::string test, entry_point;  // kCode: the published check and the function it calls
  std::string solution;           // the published worked answer or canonical body; never shown to the model
};

struct Dataset {
  std::string name;    // "gsm8k", "humaneval", "gsm-mini", "py-mini"
  std::string source;  // "local", "huggingface", "synthetic"
  std::string path;    // file or address
  std::string sha256;  // of the records' bytes, after gunzip
  std::size_t n_available = 0;
  std::uint64_t seed = 0;
  std::vector<Problem> problems;  // the selection, in running order
};

// How long the network tier may take and how much it may bring.
struct HubLimits {
  long connect_ms = 10'000;
  long page_ms = 30'000;          // one answer
  long total_ms = 180'000;        // one data set, waits included
  int attempts = 5;               // for one page: 429, 5xx, timeouts and broken connections are tried again
  long backoff_ms = 500;          // doubled after each attempt; a Retry-After of the server wins
  long longest_wait_ms = 60'000;  // a longer Retry-After ends the download
  std::size_t page_rows = 100;    // the most that the rows API gives
  std::size_t page_bytes = std::size_t{8} << 20;
};

struct DatasetOptions {
  std::string data_dir;   // looked into first; empty = KAKEYA_SHARED's data, read by the app
  std::string share_dir;  // holds data/ with the embedded sets
  std::string cache_dir;  // downloads are kept here; empty = no cache and no network tier
  std::string hub_url =
      "https://datasets-server.huggingface.co";  // overridable: tests point it at a local server
  std::string hub_token;                         // sent to hub_url's host only; empty = none
  HubLimits hub_limits;
  bool allow_network = true;
  bool allow_synthetic = false;
  std::size_t n_samples = 32;  // more than there are = all
  std::uint64_t seed = 0;
  std::function<bool()> cancelled;  // polled while downloading; may be empty
};

// Names that load_dataset knows: gsm8k, humaneval, gsm-mini, py-mini.
std::vector<std::string> dataset_names();

// Tiers in order: local jsonl or jsonl.gz, cache, Hugging Face rows API, synthetic
// (docs/formats/datasets.md). A file that is there and broken is an error, never a reason to go on. Errors
// name what was tried.
Result<Dataset> load_dataset(const std::string& name, const DatasetOptions& options);

}  // namespace kakeya::acceptance
