// From measurements to a choice, by rules declared beforehand. No engine here.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "acceptance/stats.h"
#include "cli/profile.h"
#include "cli/tune_measure.h"

namespace kakeya::cli {

struct TuneRules {
  double margin_pp = 5;     // points of acceptance rate that a channel may lose
  double min_top1 = 0.95;   // share of positions at which it must choose as bf16 does
  double tie = 0.03;        // times closer than this share count as equal
  std::size_t window = 20;  // requests whose mean the band is for
};

struct ChannelVerdict {
  std::string name;
  std::optional<acceptance::Interval> drop_pp;  // none without a draft
  acceptance::Interval top1;
  double acceptance_rate = 0, kl_per_token = 0;
  double ms_per_token = 0;  // median over prompts
  double time_ratio = 1;    // to bf16: median over prompts
  bool qualifies = false;
  std::string reason;  // when it does not
};

struct ModeVerdict {
  double ms_per_token = 0;
  double time_ratio = 1;  // to plain decoding: median over prompts
  double acceptance_length = 0;
};

struct TuneChoice {
  std::vector<ChannelVerdict> channels;
  std::size_t channel = 0;
  std::vector<ModeVerdict> modes;
  std::size_t mode = 0;
  std::string channel_why, mode_why;
  std::optional<AcceptanceBand> band;
};

// Whole interval within the margins: 95 %, bootstrap over prompts, fixed seed. bf16 qualifies always.
void judge_channels(const std::vector<ChannelCell>& cells, const TuneRules& rules, TuneChoice& choice);
void judge_modes(const std::vector<ModeCell>& cells, const TuneRules& rules, TuneChoice& choice);

}  // namespace kakeya::cli
