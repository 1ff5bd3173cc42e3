// kakeya-llm doctor: is this machine, this build and this configuration fit to run models?
#include <fmt/format.h>
#include <kakeya/version.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/doctor_checks.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

void print_table(const Checks& checks) {
  std::size_t width = 0;
  for (const Check& check : checks) width = std::max(width, check.name.size());
  for (const Check& check : checks) {
    fmt::print("{:<4}  {:<{}}  {}\n", to_string(check.level), check.name, width, check.found);
    if (check.level != Level::kOk) fmt::print("{:<4}  {:<{}}  -> {}\n", "", "", width, check.next_step);
  }
}

std::size_t count(const Checks& checks, Level level) {
  return static_cast<std::size_t>(
      std::ranges::count_if(checks, [&](const Check& check) { return check.level == level; }));
}

Json checks_json(const Checks& checks) {
  Json out = Json::array();
  for (const Check& check : checks) {
    out.push_back({{"name", check.name},
                   {"level", to_string(check.level)},
                   {"found", check.found},
                   {"next_step", check.level == Level::kOk ? Json() : Json(check.next_step)},
                   {"detail", check.detail}});
  }
  return out;
}

int run(DoctorOptions options, const CLI::App& app, const Context& context, bool json) {
  options.isa = context.isa;
  if (const CLI::Option* config = app.get_config_ptr()) options.config_file = config->as<std::string>();
  Checks checks;
  check_machine(options, checks);
  check_setup(options, checks);
  check_settings(options, app, checks);
  check_variants(options, checks);
  check_pair(options, checks);
  const std::size_t fails = count(checks, Level::kFail), warns = count(checks, Level::kWarn);
  if (json) {
    print_json({{"kakeya", {{"version", version()}, {"commit", build_commit()}, {"build", build_type()}}},
                {"checks", checks_json(checks)},
                {"warn", warns},
                {"fail", fails}});
  } else {
    print_table(checks);
    fmt::print("\n{} checks: {} ok, {} warnings, {} failed\n", checks.size(), checks.size() - warns - fails,
               warns, fails);
  }
  return fails > 0 ? kFailed : kOk;
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  auto options = std::make_shared<DoctorOptions>();
  auto json = std::make_shared<bool>(false);
  CLI::App* command = add_command(app, "doctor", "Check this machine, this build and the configuration",
                                  "  kakeya-llm doctor\n"
                                  "  kakeya-llm doctor --quick --json\n"
                                  "  kakeya-llm doctor --model Qwen/Qwen3-8B --draft auto\n"
                                  "Exit code 1 when a check fails; warnings do not count.");
  command->add_option("--model", options->model, "a model of yours to open too");
  command->add_option("--draft", options->draft,
                      "its draft; default: the published one, where it was pulled");
  command->add_option("--threads", options->threads, "0 = every core this process may use")
      ->capture_default_str();
  command->add_option(
      "--share-dir", options->share_dir,
      "where models/tiny lies; default: ../share/kakeya beside the program, or the source tree");
  command->add_flag("--quick", options->quick, "leave out the limits of memory and instructions");
  command->add_flag("--json", *json, "one JSON object");
  on_run(command, context, [options, json, &app, &context] { return run(*options, app, context, *json); });
}

}  // namespace kakeya::cli
