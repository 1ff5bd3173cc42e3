// What one run of `bench acceptance` was asked to do. Parsing of flags is the app's.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "acceptance/bench_engine.h"

namespace kakeya::acceptance {

struct RunOptions {
  std::string target = "tiny", draft = "tiny";
  std::vector<std::string> channels = {"bf16", "e8-q38", "e8-q10", "e8-q4"};
  std::string draft_kv = "bf16";
  int boundary = 0;
  std::vector<std::string> datasets = {"gsm8k", "humaneval"};
  bool datasets_named = false;  // by the user: then nothing is put in their place
  std::size_t n_samples = 32;
  std::size_t max_tokens = 256;
  std::size_t block_size = 0;    // 0 = the draft's own
  std::size_t verify_width = 0;  // 0 = block_size
  float temperature = 0;
  std::uint64_t seed = 0;
  std::string protocol = "both";  // "free", "forced", "both"
  bool protocol_named = false;
  std::string anchors = "cycles";         // "cycles", "all"
  std::string prompt_style = "auto";      // "plain", "reference", "auto"
  std::map<std::string, double> margins;  // points, on top of default_margins()
  std::size_t resamples = 10000;

  std::string out_dir;
  bool dry_run = false, resume = false, overwrite = false;
  bool allow_synthetic = false, offline = false;
  std::string data_dir, cache_dir, hub_url, hub_token;
  int threads = 0;
  std::string isa;
};

// Flags that contradict themselves or name what does not exist; before any work. Adds bf16 when it is missing
// and settles `protocol`; what was settled is told in `notes`. Errors: kInvalidArgument.
Status settle(RunOptions& options, std::vector<std::string>& notes);

bool wants_forced(const RunOptions& options);
// Whose cycles fill the metrics: "free" unless only the forced protocol was asked for.
std::string primary_protocol(const RunOptions& options);
// "forced" where it was run: same text on both sides, so it decides.
std::string verdict_protocol(const RunOptions& options);
// auto: plain for the embedded pair (it was trained that way), else the reference's wrapping.
PromptStyle prompt_style(const RunOptions& options);

}  // namespace kakeya::acceptance
