// What `tune` measures with: its options, and the user's prompts or the embedded ones.
#pragma once
#include <kakeya/engine.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kakeya::cli {

struct TunePrompt {
  std::string id;
  std::vector<Token> ids;
};

struct TunePrompts {
  std::string source;  // file, or "embedded: gsm-mini, py-mini"
  std::string sha256;  // of the texts
  std::vector<TunePrompt> prompts;
};

struct TuneOptions {
  std::string prompts_file;                                                   // empty = the embedded sets
  std::size_t samples = 16;                                                   // prompts at most
  int max_tokens = 128;                                                       // an answer
  std::vector<std::string> channels = {"bf16", "e8-q38", "e8-q10", "e8-q4"};  // bf16 is always first
  std::string draft_kv = "bf16";
  std::vector<std::size_t> widths;  // empty = 2, 4, ... up to the draft's block
  std::uint64_t seed = 0;
  double budget_s = 600;  // of all timed rounds
};

// A text line is one user turn; a JSON line {"prompt": TEXT} too. Errors: kNotFound, kIo, kCorruptData with
// the line, those of encoding.
Result<TunePrompts> load_prompts(const Engine& engine, const TuneOptions& options);

}  // namespace kakeya::cli
