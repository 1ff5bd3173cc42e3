// The measurements of `tune`: what every channel and every mode of drafting did with the prompts.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/session.h>

#include <functional>
#include <string>
#include <vector>

#include "cli/tune_prompts.h"
#include "cli/tune_timing.h"

namespace kakeya::cli {

// One prompt under one channel.
struct ChannelRun {
  std::uint64_t proposed = 0, accepted = 0;  // forced along the bf16 answer, whole blocks
  std::size_t positions = 0, top1_agree = 0;
  double kl_sum = 0;       // nats
  std::vector<double> ms;  // of its own answer, speculation auto; one a round
  std::size_t tokens = 0;  // of it
};

struct ChannelCell {
  std::string name;
  double bits = 0, bytes_per_token = 0;  // allocated; of the target's cache
  std::vector<ChannelRun> runs;          // one per prompt
};

// One prompt under one mode of drafting, in the chosen channel.
struct ModeRun {
  std::vector<double> ms;  // one a round
  std::size_t tokens = 0;
  std::uint64_t cycles = 0, accepted = 0;  // cycles with drafts
};

struct ModeCell {
  Speculation speculation = Speculation::kOff;
  std::size_t width = 0;
  std::vector<ModeRun> runs;
};

// Milliseconds a token, by prompt and round.
template <class Cell>
TimeSamples times_of(const Cell& cell) {
  TimeSamples out;
  for (const auto& run : cell.runs) {
    std::vector<double>& rounds = out.emplace_back();
    for (const double ms : run.ms) {
      rounds.push_back(ms / static_cast<double>(run.tokens > 0 ? run.tokens : 1));
    }
  }
  return out;
}

// How a measurement went.
struct TuneCourse {
  std::size_t prompts = 0;  // fewer than there are where the budget was small
  std::size_t rounds = 0;
  double seconds = 0;
  std::string ended;  // "decided", "budget", "rounds"
};

// What is under way, for a line on the terminal; returns false to stop.
using TuneProgress = std::function<bool(const std::string& what, std::size_t done, std::size_t all)>;

struct TurnRules {
  double seconds = 0;  // no new round, and from the third on no new prompt of the first round, after so many
  std::size_t most_rounds = 12;
  TuneProgress progress;
};

// Channels whose times still matter, and whether they are told apart; asked after each round.
struct ChannelState {
  std::vector<bool> matter;
  bool decided = false;
};
using ChannelQuestion = std::function<ChannelState(const std::vector<ChannelCell>&)>;
using ModeQuestion = std::function<bool(const std::vector<ModeCell>&)>;

// Cells take turns prompt by prompt, in an order that moves by one each time and runs backwards in every
// other round, so that all see the same minutes; each has answered once before anything is timed. Rounds go
// on until the question is decided (two at least), the seconds are over, or there were enough. Errors: those
// of sessions; kCancelled.
Result<std::vector<ChannelCell>> measure_channels(const Engine& engine, const TuneOptions& options,
                                                  const TunePrompts& prompts, const TurnRules& rules,
                                                  const ChannelQuestion& ask, TuneCourse& course);
Result<std::vector<ModeCell>> measure_modes(const Engine& engine, const TuneOptions& options,
                                            const std::string& kv, const TunePrompts& prompts,
                                            const TurnRules& rules, const ModeQuestion& ask,
                                            TuneCourse& course);

}  // namespace kakeya::cli
