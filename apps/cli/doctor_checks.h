// The checks of `doctor`, each with what was found and what to do about it.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"

namespace kakeya::cli {

enum class Level { kOk, kWarn, kFail };
const char* to_string(Level level);  // "ok", "warn", "fail"

struct Check {
  std::string name;
  Level level = Level::kOk;
  std::string found;
  std::string next_step;  // of warn and fail
  nlohmann::ordered_json detail;
};
using Checks = std::vector<Check>;

struct DoctorOptions {
  std::string isa;           // as --isa
  std::string share_dir;     // where the embedded pair lies; empty = find_share_dir
  std::string model, draft;  // a pair of the user's; model empty = none
  std::string config_file;   // --config in effect
  int threads = 0;
  bool quick = false;  // no limits of memory and instructions
};

// CPU, cores, memory, huge pages, read rate, int8 peak. In doctor_machine.cc.
void check_machine(const DoctorOptions& options, Checks& out);
// Configuration file, environment, share directory, store. In doctor_machine.cc.
void check_setup(const DoctorOptions& options, Checks& out);
// What run, chat and serve take for the model, and from where; profiles of `tune` that do not count. In
// doctor_settings.cc.
void check_settings(const DoctorOptions& options, const CLI::App& app, Checks& out);
// Channels and logits of every CPU variant against scalar. In doctor_numbers.cc.
void check_variants(const DoctorOptions& options, Checks& out);
// The embedded pair against its golden data; a draft changes no token; the user's pair. In doctor_numbers.cc.
void check_pair(const DoctorOptions& options, Checks& out);

}  // namespace kakeya::cli
