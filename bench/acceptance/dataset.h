// Problems to generate on: local files, the Hugging Face rows API with a cache on disk, or (only when allowed)
// a synthetic fixture. Selection by seed.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kakeya::acceptance {

enum class TaskKind { kMath, kCode };  // graded by final number; graded by running tests

struct Problem {
  std::size_t index = 0;      // row in the data set
  std::string task_id;        // "gsm8k/17", "HumanEval/3"
  TaskKind kind = TaskKind::kMath;
  std::string prompt;         // the question, or the code to complete
  std::string answer;         // kMath: the final number as published
  std::string test, entry_point;  // kCode: the published check and the function it calls
};

struct Dataset {
  std::string name;           // "gsm8k", "humaneval", "gsm-mini", "py-mini"
  std::string source;         // "local", "huggingface", "synthetic"
  std::string path;           // file or address
  std::string sha256;         // of the records' bytes
  std::size_t n_available = 0;
  std::uint64_t seed = 0;
  std::vector<Problem> problems;  // the selection, in running order
};

struct DatasetOptions {
  std::string data_dir;       // looked into first; empty = KAKEYA_SHARED's data, read by the app
  std::string share_dir;      // holds data/ with the embedded sets
  std::string cache_dir;      // downloads; empty = no network tier
  std::string hub_url = "https://datasets-server.huggingface.co";  // overridable: tests point it at a local server
  bool allow_network = true;
  bool allow_synthetic = false;
  std::size_t n_samples = 32;
  std::uint64_t seed = 0;
};

// Names that load_dataset knows.
std::vector<std::string> dataset_names();

// Tiers in order: local jsonl or jsonl.gz, cache, Hugging Face rows API, synthetic. Errors name what was tried.
Result<Dataset> load_dataset(const std::string& name, const DatasetOptions& options);

}  // namespace kakeya::acceptance
