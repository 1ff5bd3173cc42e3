// Which tests a run consists of.
#pragma once
#include <kakeya/result.h>

#include <vector>

#include "speed/options.h"
#include "speed/result.h"

namespace kakeya::speed {

// What the tests are made for.
struct PlanFor {
  std::size_t context = 0;      // positions the target allows
  std::string model;            // its id, for messages
  std::size_t draft_block = 0;  // the draft's own; 0 = no draft
};

// Tests of one group are run in turns, sample by sample, so that their ratios are of the same minutes.
using Group = std::vector<Test>;

// The tests of one model, channel and number of threads, shallow depths first. Errors: kInvalidArgument (a
// test beyond the context; a block, or a simulated acceptance, that the draft cannot have).
Result<std::vector<Group>> make_plan(const Options& options, const PlanFor& target);

}  // namespace kakeya::speed
