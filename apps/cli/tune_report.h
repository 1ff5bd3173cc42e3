// What `tune` measured and chose, for the terminal and as a profile.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/profile.h"
#include "cli/tune_rules.h"

namespace kakeya::cli {

struct Measured {
  TunePrompts prompts;
  std::vector<ChannelCell> channels;
  std::vector<ModeCell> modes;
  TuneCourse channel_course, mode_course;
  TuneChoice choice;
  std::string target_fingerprint, draft_fingerprint;
};

ProfileChoice chosen_profile(const TuneOptions& options, const Measured& measured);
// The profile with its evidence: docs/howto/tune.md.
nlohmann::ordered_json profile_json(const Engine& engine, const TuneOptions& options, const TuneRules& rules,
                                    const Measured& measured);
void print_measured(const Measured& measured);

}  // namespace kakeya::cli
