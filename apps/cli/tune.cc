// kakeya-llm tune: which KV channel and which drafting are best here, on the user's prompts; written down as
// a profile that run, chat and serve read.
#include <fmt/format.h>
#include <kakeya/estimate.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/number_flags.h"
#include "cli/tune_report.h"

namespace kakeya::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct TuneFlags {
  std::string model_argument;
  ModelFlags model;
  TuneOptions tune;
  TuneRules rules;
  std::string out;  // empty = profile_path
  bool dry_run = false, json = false;
};

bool show_progress(const std::string& what, std::size_t done, std::size_t all) {
  if (::isatty(STDERR_FILENO) != 0) {
    fmt::print(stderr, "\r{}: {} of {}\033[K{}", what, done, all, done + 1 == all ? "\n" : "");
    std::fflush(stderr);
  }
  return !interrupted();
}

// bf16 first, each once.
Status check_channels(std::vector<std::string>& channels, const Engine& engine) {
  std::vector<std::string> all = {"bf16"};
  for (const std::string& name : channels) {
    KAKEYA_TRY(engine.new_session({.kv = name, .max_tokens = 64}));
    if (std::ranges::find(all, name) == all.end()) all.push_back(name);
  }
  channels = std::move(all);
  return {};
}

Result<Measured> measure(const Engine& engine, TuneFlags& flags) {
  Measured out;
  KAKEYA_TRY(check_channels(flags.tune.channels, engine));
  KAKEYA_ASSIGN(out.target_fingerprint, model_fingerprint(engine.target().path, ModelRole::kTarget, ""));
  if (engine.draft() != nullptr) {
    KAKEYA_ASSIGN(out.draft_fingerprint, model_fingerprint(engine.draft()->path, ModelRole::kDraft, ""));
  }
  KAKEYA_ASSIGN(out.prompts, load_prompts(engine, flags.tune));
  TurnRules turns{flags.tune.budget_s / 2, flags.rules.rounds, show_progress};
  const auto channels = [&](const std::vector<ChannelCell>& cells) {
    return channel_state(cells, flags.rules);
  };
  KAKEYA_ASSIGN(out.channels,
                measure_channels(engine, flags.tune, out.prompts, turns, channels, out.channel_course));
  judge_channels(out.channels, flags.rules, out.choice);
  const std::string kv = out.channels[out.choice.channel].name;
  turns.seconds = std::max(flags.tune.budget_s - out.channel_course.seconds, 0.0);
  const auto modes = [&](const std::vector<ModeCell>& cells) { return modes_decided(cells, flags.rules); };
  KAKEYA_ASSIGN(out.modes, measure_modes(engine, flags.tune, kv, out.prompts, turns, modes, out.mode_course));
  judge_modes(out.modes, flags.rules, out.choice);
  return out;
}

Status write_profile(const std::string& path, const Json& profile) {
  std::error_code error;
  const fs::path directory = fs::path(path).parent_path();
  if (!directory.empty()) fs::create_directories(directory, error);
  if (error) return io_error(fmt::format("create {}: {}", directory.string(), error.message()));
  return acceptance::write_files(
      {{path, profile.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"}});
}

int finish(const TuneFlags& flags, const Engine& engine, const Measured& measured) {
  std::string path = flags.out;
  if (path.empty() && !flags.dry_run) {
    const auto place = profile_path(engine.target().id, measured.target_fingerprint);
    if (!place.ok()) return fail(place.error(), "--out FILE writes it elsewhere");
    path = *place;
  }
  const Json profile = profile_json(engine, flags.tune, flags.rules, measured);
  if (!flags.dry_run) {
    const Status written = write_profile(path, profile);
    if (!written.ok()) return fail(written.error(), "--out FILE writes it elsewhere");
  }
  if (flags.json) {
    print_json(profile);
    return kOk;
  }
  print_measured(measured);
  fmt::print("\nchosen: {}\n", chosen_profile(flags.tune, measured).words());
  if (const auto& band = measured.choice.band) {
    fmt::print("acceptance length {:.2f}; the mean of {} requests stays between {:.2f} and {:.2f}\n",
               band->mean, band->window, band->low, band->high);
  }
  if (flags.dry_run) return kOk;
  fmt::print("profile: {}\n", path);
  fmt::print("{}\n", flags.out.empty()
                         ? "run, chat and serve use it from now on; --no-profile or other flags win"
                         : "run, chat and serve take it with --profile");
  return kOk;
}

int run(TuneFlags flags, const Context& context) {
  if (!flags.model_argument.empty()) flags.model.model = flags.model_argument;
  flags.model.no_profile = true;
  const auto model = open_model(flags.model, context);
  if (!model.ok()) return fail(model.error(), next_step_of(model.error()));
  if (!flags.model.draft_kv.empty()) flags.tune.draft_kv = flags.model.draft_kv;
  catch_interrupts();
  const auto measured = measure(*model->engine, flags);
  if (!measured.ok()) {
    return fail(measured.error(), channel_step(flags.tune.channels, model->engine->target().head_dim));
  }
  return finish(flags, *model->engine, *measured);
}

void add_measure_flags(CLI::App* command, TuneFlags& flags) {
  command->add_option(
      "--prompts", flags.tune.prompts_file,
      "your prompts: one a line, or JSON lines {\"prompt\": ...}. Default: the embedded sets");
  command->add_option("--n-samples", flags.tune.samples, "prompts at most")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  command->add_option("-n,--max-tokens", flags.tune.max_tokens, "of an answer")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command->add_option("--channels", flags.tune.channels, "KV channels to compare; bf16 is always among them")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--widths", flags.tune.widths,
                   "verify widths to try; default: 2, 4, ... and the draft's block")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(2, 512));
  command->add_option("--seed", flags.tune.seed, "of the choice of prompts")->capture_default_str();
  command
      ->add_option("--budget", flags.tune.budget_s,
                   "seconds for the timed rounds; they go on until the fastest is told apart from the others")
      ->check(number_from_zero())
      ->capture_default_str();
  command->add_option("--margin", flags.rules.margin_pp, "points of acceptance rate that a channel may lose")
      ->check(number_from_zero())
      ->capture_default_str();
  command
      ->add_option("--min-top1", flags.rules.min_top1,
                   "share of positions at which a channel must choose the token that bf16 chooses")
      ->check(number_between(0, 1))
      ->capture_default_str();
}

}  // namespace

void add_tune(CLI::App& app, Context& context) {
  auto flags = std::make_shared<TuneFlags>();
  CLI::App* command = add_command(
      app, "tune", "Measure which KV channel and drafting suit this machine, and remember it",
      "  kakeya-llm tune\n"
      "  kakeya-llm tune Qwen/Qwen3-8B --prompts my-prompts.txt\n"
      "  kakeya-llm tune qwen3-4b --channels e8-q38,e8-q10,q8_0 --widths 4,8,16 --budget 1800\n"
      "run, chat and serve read what it writes. docs/howto/tune.md has the rules and the format.");
  command->add_option("model", flags->model_argument,
                      "'tiny', a short name, ORG/REPO, a GGUF file or a directory");
  command->add_option("-m,--model", flags->model.model, "model when none is named as an argument")
      ->capture_default_str();
  command->add_option("--draft", flags->model.draft,
                      "DFlash draft. Default: the published draft of the model, where it was pulled");
  command->add_flag("--no-draft", flags->model.no_draft, "tune plain decoding");
  command->add_option("--draft-kv", flags->model.draft_kv, "KV channel of the draft. Default: bf16");
  command->add_option("--threads", flags->model.threads, "0 = every core this process may use")
      ->capture_default_str();
  add_measure_flags(command, *flags);
  command->add_option("--out", flags->out,
                      "file for the profile, instead of the place where run, chat and serve look");
  command->add_flag("--dry-run", flags->dry_run, "measure and show; write nothing");
  command->add_flag("--json", flags->json, "the profile as one JSON object");
  on_run(command, context, [flags, &context] { return run(*flags, context); });
}

}  // namespace kakeya::cli
