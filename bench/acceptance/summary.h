// A finished run in short: the table on the terminal and the JSON of --json.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "acceptance/cell.h"

namespace kakeya::acceptance {

std::string summary_table(const Run& run);
nlohmann::ordered_json summary_json(const Run& run, const std::string& out_dir, int exit_code);

// "2.41", or "-" for what is not a number.
std::string figure(double value, int decimals);
// What to call the run in a title: "MOCK" first where it is one.
std::string run_title(const Run& run);
// One sentence per channel with both lines of its verdict.
std::string channel_sentence(const Run& run, const std::string& channel);

}  // namespace kakeya::acceptance
