// What the machine and the configuration are like.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <kakeya/speed.h>
#include <kakeya/version.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "acceptance/machine.h"
#include "cli/doctor_checks.h"
#include "cli/places.h"
#include "hub/file_choice.h"

extern char** environ;

namespace kakeya::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kLowFree = 1e9;  // bytes

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

Check cpu_check(const DoctorOptions& options) {
  const auto isas = available_isas();
  Check check{"cpu", Level::kOk, "", "", {}};
  const std::string used = options.isa.empty() ? isas.back() : options.isa;
  check.found = fmt::format("{}; variants {}; used: {}", cpu_name(), fmt::join(isas, ", "), used);
  check.detail = {{"cpu", cpu_name()}, {"variants", isas}, {"used", used}};
  if (isas.size() == 1) {
    check.level = Level::kWarn;
    check.next_step = "only the scalar variant runs here: everything works, slowly";
  } else if (used != isas.back()) {
    check.level = Level::kWarn;
    check.next_step = fmt::format("--isa or KAKEYA_ISA chose {}; without it {} would run", used, isas.back());
  }
  return check;
}

Check cores_check(const acceptance::MachineFacts& facts) {
  Check check{
      "cores", Level::kOk, fmt::format("{} usable, load {:.1f}", facts.cores, facts.load_average), "", {}};
  check.detail = {{"cores", facts.cores}, {"load_average", facts.load_average}, {"os", facts.os}};
  if (facts.load_average > facts.cores) {
    check.level = Level::kWarn;
    check.next_step = "other programs use the cores: speeds measured now are too low";
  }
  return check;
}

Check memory_check(const acceptance::MachineFacts& facts) {
  const std::uint64_t free = process_memory().available_bytes;
  Check check{
      "memory",
      Level::kOk,
      fmt::format("{} free of {}", hub::readable_bytes(free), hub::readable_bytes(facts.memory_bytes)),
      "",
      {}};
  check.detail = {{"total_bytes", facts.memory_bytes}, {"available_bytes", free}};
  if (free != 0 && static_cast<double>(free) < kLowFree) {
    check.level = Level::kWarn;
    check.next_step = "less than 1 GB is free: kakeya-llm inspect MODEL --tokens N says what a model needs";
  }
  return check;
}

void add_huge_pages(Checks& out) {
#ifdef __linux__
  constexpr const char* kPath = "/sys/kernel/mm/transparent_hugepage/enabled";
  const std::string line = first_line(kPath);
  const auto open = line.find('['), close = line.find(']');
  const std::string mode =
      open != std::string::npos && close > open ? line.substr(open + 1, close - open - 1) : "";
  Check check{
      "huge pages", Level::kOk, mode.empty() ? "not offered by this system" : mode, "", {{"mode", mode}}};
  if (mode.empty() || mode == "never") {
    check.level = Level::kWarn;
    check.next_step =
        fmt::format("echo madvise > {} (as root) lets weights lie on huge pages: faster reading", kPath);
  }
  out.push_back(std::move(check));
#else
  (void)out;
#endif
}

// Read rate and int8 peak, through a probe on the embedded pair.
void add_limits(const DoctorOptions& options, Checks& out) {
  EngineOptions engine_options;
  engine_options.share_dir = options.share_dir;
  engine_options.isa = options.isa;
  engine_options.threads = options.threads;
  const auto engine = Engine::open(engine_options);
  if (!engine.ok()) return;  // check_pair says it
  SessionOptions session;
  session.max_tokens = 64;
  const auto probe = (*engine)->new_speed_probe(session);
  if (!probe.ok()) {
    out.push_back({"speed limits", Level::kFail, probe.error().message, "free some memory", {}});
    return;
  }
  const auto memory = (*probe)->memory_limit(0);
  if (memory.ok()) {
    Check check{
        "memory bandwidth",
        Level::kOk,
        fmt::format("{:.1f} GB/s with {} threads: a model of 5 GB then makes at most {:.1f} tokens/s without "
                    "drafts",
                    memory->gbs, (*engine)->threads(), memory->gbs / 5),
        "",
        {}};
    check.detail = {{"gbs", memory->gbs},
                    {"buffer_bytes", memory->buffer_bytes},
                    {"last_level_cache_bytes", memory->last_level_cache_bytes}};
    if (memory->last_level_cache_bytes > memory->buffer_bytes) {
      check.level = Level::kWarn;
      check.next_step =
          "the buffer was smaller than the cache, so this is the cache's rate; free some memory";
    }
    out.push_back(std::move(check));
  } else {
    out.push_back({"memory bandwidth", Level::kWarn, memory.error().message, "free some memory", {}});
  }
  const Int8Limit int8 = (*probe)->int8_limit();
  Check check{"int8 peak", Level::kOk, "", "", {{"gops", int8.gops}, {"instruction", int8.instruction}}};
  check.found = int8.instruction.empty() ? "no int8 products in this variant"
                                         : fmt::format("{:.0f} GOP/s with {}", int8.gops, int8.instruction);
  if (int8.instruction.empty()) {
    check.level = Level::kWarn;
    check.next_step = "quantised models run without int8 products here: slower prompts";
  }
  out.push_back(std::move(check));
}

Check config_check(const DoctorOptions& options) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (text.rfind("KAKEYA_", 0) == 0) variables.push_back(text.substr(0, text.find('=')));
  }
  std::ranges::sort(variables);
  std::error_code error;
  const bool there = !options.config_file.empty() && fs::is_regular_file(options.config_file, error);
  const std::string file = there                         ? options.config_file
                           : options.config_file.empty() ? "no file"
                                                         : options.config_file + " (absent)";
  Check check{"configuration", Level::kOk, "", "", {}};
  check.found = fmt::format("{}; environment: {}", file,
                            variables.empty() ? "nothing" : fmt::format("{}", fmt::join(variables, ", ")));
  check.detail = {{"file", options.config_file},
                  {"file_exists", there},
                  {"variables", variables},
                  {"profiles", config_directory().empty() ? "" : config_directory() + "/profiles"},
                  {"state", state_directory()}};
  return check;
}

Check share_check(const DoctorOptions& options) {
  const auto share = find_share_dir(options.share_dir);
  if (share.ok()) return {"share directory", Level::kOk, *share, "", {{"path", *share}}};
  return {"share directory",
          Level::kFail,
          share.error().message,
          "install share/kakeya beside bin/kakeya-llm (cmake --install), or run from the source tree",
          {}};
}

Check store_check() {
  const auto store = open_store();
  if (!store.ok()) {
    return {"model store", Level::kWarn, store.error().message, "set HOME or KAKEYA_HOME to pull models", {}};
  }
  const auto entries = store->list();
  if (!entries.ok()) {
    return {"model store",
            Level::kFail,
            entries.error().message,
            fmt::format("look at {}; kakeya-llm rm MODEL removes a broken model", store->root()),
            {}};
  }
  std::vector<std::string> incomplete;
  for (const auto& entry : *entries) {
    if (!entry.complete || !entry.damage.empty()) incomplete.push_back(entry.manifest.id.text());
  }
  Check check{
      "model store", Level::kOk, fmt::format("{}: {} models", store->root(), entries->size()), "", {}};
  check.detail = {{"root", store->root()}, {"models", entries->size()}, {"incomplete", incomplete}};
  if (!incomplete.empty()) {
    check.level = Level::kWarn;
    check.found += fmt::format(", incomplete: {}", fmt::join(incomplete, ", "));
    check.next_step = fmt::format("kakeya-llm pull {} continues", incomplete.front());
  }
  return check;
}

}  // namespace

const char* to_string(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarn:
      return "warn";
    case Level::kFail:
      break;
  }
  return "fail";
}

void check_machine(const DoctorOptions& options, Checks& out) {
  const acceptance::MachineFacts facts = acceptance::machine_facts();
  out.push_back(cpu_check(options));
  out.push_back(cores_check(facts));
  out.push_back(memory_check(facts));
  add_huge_pages(out);
  if (!options.quick) add_limits(options, out);
}

void check_setup(const DoctorOptions& options, Checks& out) {
  out.push_back(config_check(options));
  out.push_back(share_check(options));
  out.push_back(store_check());
}

}  // namespace kakeya::cli
