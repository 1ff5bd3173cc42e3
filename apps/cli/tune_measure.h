// The measurements of `tune`: prompts, and what every channel and every mode of drafting did with them.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/session.h>

#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"

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
};

// A text line is one user turn; a JSON line {"prompt": TEXT} too. Errors: kNotFound, kIo, kCorruptData with
// the line, those of encoding.
Result<TunePrompts> load_prompts(const Engine& engine, const TuneOptions& options);

// One prompt under one channel.
struct ChannelRun {
  std::uint64_t proposed = 0, accepted = 0;  // forced along the bf16 answer, whole blocks
  std::size_t positions = 0, top1_agree = 0;
  double kl_sum = 0;  // nats
  double ms = 0;      // of its own answer, speculation auto
  std::size_t tokens = 0;
};

struct ChannelCell {
  std::string name;
  double bits = 0, bytes_per_token = 0;  // allocated; of the target's cache
  std::vector<ChannelRun> runs;          // one per prompt
};

// One prompt under one mode of drafting, in the chosen channel.
struct ModeRun {
  double ms = 0;
  std::size_t tokens = 0;
  std::uint64_t cycles = 0, accepted = 0;  // cycles with drafts
};

struct ModeCell {
  Speculation speculation = Speculation::kOff;
  std::size_t width = 0;
  std::vector<ModeRun> runs;
};

// What is under way, for a line on the terminal; returns false to stop.
using TuneProgress = std::function<bool(const std::string& what, std::size_t done, std::size_t all)>;

// Cells take turns prompt by prompt, in an order that moves by one each time, so that all see the same
// minutes. Errors: those of sessions; kCancelled.
Result<std::vector<ChannelCell>> measure_channels(const Engine& engine, const TuneOptions& options,
                                                  const TunePrompts& prompts, const TuneProgress& progress);
Result<std::vector<ModeCell>> measure_modes(const Engine& engine, const TuneOptions& options,
                                            const std::string& kv, const TunePrompts& prompts,
                                            const TuneProgress& progress);

}  // namespace kakeya::cli
