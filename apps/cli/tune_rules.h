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
  std::size_t rounds = 12;  // at most
  std::size_t window = 20;  // requests whose mean the band is for
};

struct ChannelVerdict {
  std::string name;
  std::optional<acceptance::Interval> drop_pp;  // none without a draft
  acceptance::Interval top1;
  double acceptance_rate = 0, kl_per_token = 0;
  double ms_per_token = 0;                  // median over prompts
  acceptance::Interval time_ratio;          // to bf16
  std::optional<TimeVerdict> against_best;  // of those that qualify
  bool qualifies = false;
  std::string reason;  // when it does not
};

struct ModeVerdict {
  double ms_per_token = 0;
  acceptance::Interval time_ratio;  // to plain decoding
  TimeVerdict against_best;
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

// A channel qualifies when its whole interval is within the margins: 95 %, bootstrap over prompts, fixed
// seed. bf16 qualifies always. Of those that are certainly as fast as the fastest the one with the fewest
// bytes is taken.
void judge_channels(const std::vector<ChannelCell>& cells, const TuneRules& rules, TuneChoice& choice);
// Of the modes that are not certainly slower than the fastest the plainest is taken: the first.
void judge_modes(const std::vector<ModeCell>& cells, const TuneRules& rules, TuneChoice& choice);

// What a measurement under way asks.
ChannelState channel_state(const std::vector<ChannelCell>& cells, const TuneRules& rules);
bool modes_decided(const std::vector<ModeCell>& cells, const TuneRules& rules);

}  // namespace kakeya::cli
