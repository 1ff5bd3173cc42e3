// kakeya-llm tune: which KV channel and which drafting are best here, on the user's prompts; written down as
// a profile that run and chat read.
#include <fmt/format.h>
#include <kakeya/estimate.h>
#include <kakeya/version.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "acceptance/machine.h"
#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/tune_rules.h"
#include "hub/file_choice.h"

namespace kakeya::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Flags {
  std::string model_argument;
  ModelFlags model;
  TuneOptions tune;
  TuneRules rules;
  std::string out;  // empty = profile_path
  bool dry_run = false, json = false;
};

struct Measured {
  TunePrompts prompts;
  std::vector<ChannelCell> channels;
  std::vector<ModeCell> modes;
  TuneChoice choice;
  std::string target_fingerprint, draft_fingerprint;
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

Result<Measured> measure(const Engine& engine, Flags& flags) {
  Measured out;
  KAKEYA_TRY(check_channels(flags.tune.channels, engine));
  KAKEYA_ASSIGN(out.target_fingerprint, model_fingerprint(engine.target().path, ModelRole::kTarget, ""));
  if (engine.draft() != nullptr) {
    KAKEYA_ASSIGN(out.draft_fingerprint, model_fingerprint(engine.draft()->path, ModelRole::kDraft, ""));
  }
  KAKEYA_ASSIGN(out.prompts, load_prompts(engine, flags.tune));
  KAKEYA_ASSIGN(out.channels, measure_channels(engine, flags.tune, out.prompts, show_progress));
  judge_channels(out.channels, flags.rules, out.choice);
  const std::string kv = out.channels[out.choice.channel].name;
  KAKEYA_ASSIGN(out.modes, measure_modes(engine, flags.tune, kv, out.prompts, show_progress));
  judge_modes(out.modes, flags.rules, out.choice);
  return out;
}

ProfileChoice chosen(const Flags& flags, const Measured& measured) {
  const ModeCell& mode = measured.modes[measured.choice.mode];
  return {measured.channels[measured.choice.channel].name, flags.tune.draft_kv, to_string(mode.speculation),
          mode.width};
}

Json interval_json(const acceptance::Interval& interval) {
  return {{"estimate", interval.estimate}, {"low", interval.low}, {"high", interval.high}};
}

Json channels_json(const Measured& measured) {
  Json out = Json::array();
  for (std::size_t i = 0; i < measured.channels.size(); ++i) {
    const ChannelVerdict& verdict = measured.choice.channels[i];
    out.push_back({{"name", verdict.name},
                   {"bits_allocated", measured.channels[i].bits},
                   {"bytes_per_token", measured.channels[i].bytes_per_token},
                   {"acceptance_rate", verdict.drop_pp ? Json(verdict.acceptance_rate) : Json()},
                   {"drop_pp", verdict.drop_pp ? interval_json(*verdict.drop_pp) : Json()},
                   {"top1_agreement", interval_json(verdict.top1)},
                   {"kl_per_token", verdict.kl_per_token},
                   {"ms_per_token", verdict.ms_per_token},
                   {"time_ratio_to_bf16", verdict.time_ratio},
                   {"qualifies", verdict.qualifies},
                   {"reason", verdict.qualifies ? Json() : Json(verdict.reason)}});
  }
  return out;
}

Json modes_json(const Measured& measured) {
  Json out = Json::array();
  for (std::size_t i = 0; i < measured.modes.size(); ++i) {
    const ModeVerdict& verdict = measured.choice.modes[i];
    out.push_back(
        {{"speculation", to_string(measured.modes[i].speculation)},
         {"verify_width", measured.modes[i].width},
         {"ms_per_token", verdict.ms_per_token},
         {"time_ratio_to_plain", verdict.time_ratio},
         {"acceptance_length", verdict.acceptance_length > 0 ? Json(verdict.acceptance_length) : Json()}});
  }
  return out;
}

Json model_json(const ModelInfo& info, const std::string& fingerprint) {
  return {{"id", info.id}, {"path", info.path}, {"dtype", info.dtype}, {"fingerprint", fingerprint}};
}

Json profile_json(const Flags& flags, const Engine& engine, const Measured& measured) {
  const acceptance::MachineFacts machine = acceptance::machine_facts();
  const ProfileChoice choice = chosen(flags, measured);
  const TuneRules& rules = flags.rules;
  Json out = {{"schema", kProfileSchema},
              {"created_at", acceptance::utc_now()},
              {"kakeya", {{"version", version()}, {"commit", build_commit()}, {"build", build_type()}}},
              {"machine",
               {{"cpu", machine.cpu},
                {"os", machine.os},
                {"isa", engine.isa()},
                {"threads", engine.threads()},
                {"cores", machine.cores},
                {"memory_bytes", machine.memory_bytes},
                {"load_average", machine.load_average}}},
              {"target", model_json(engine.target(), measured.target_fingerprint)}};
  out["draft"] = engine.draft() != nullptr ? model_json(*engine.draft(), measured.draft_fingerprint) : Json();
  out["prompts"] = {{"source", measured.prompts.source},
                    {"sha256", measured.prompts.sha256},
                    {"n", measured.prompts.prompts.size()},
                    {"max_tokens", flags.tune.max_tokens},
                    {"seed", flags.tune.seed}};
  out["rules"] = {{"margin_pp", rules.margin_pp},
                  {"min_top1", rules.min_top1},
                  {"tie", rules.tie},
                  {"interval", "95 %, bootstrap over prompts"},
                  {"channel", measured.choice.channel_why},
                  {"drafting", measured.choice.mode_why}};
  out["channels"] = channels_json(measured);
  out["drafting"] = modes_json(measured);
  out["choice"] = {{"kv", choice.kv},
                   {"draft_kv", choice.draft_kv},
                   {"draft", choice.speculation != "off"},
                   {"speculation", choice.speculation},
                   {"verify_width", choice.verify_width}};
  if (const auto& band = measured.choice.band) {
    out["acceptance_band"] = {
        {"mean", band->mean},
        {"low", band->low},
        {"high", band->high},
        {"window", band->window},
        {"of", "acceptance length, mean over cycles with drafts of a request, then over requests"}};
  } else {
    out["acceptance_band"] = Json();
  }
  return out;
}

void print_channels(const Measured& measured) {
  fmt::print("{:<10} {:>12} {:>9} {:>10} {:>8} {:>9} {:>8}\n", "KV", "bytes/token", "accepted", "drop, pp",
             "top-1", "ms/token", "to bf16");
  for (std::size_t i = 0; i < measured.channels.size(); ++i) {
    const ChannelVerdict& v = measured.choice.channels[i];
    fmt::print("{:<10} {:>12.0f} {:>9} {:>10} {:>7.1f}% {:>9.2f} {:>8.2f}  {}\n", v.name,
               measured.channels[i].bytes_per_token,
               v.drop_pp ? fmt::format("{:.1f}%", 100 * v.acceptance_rate) : "-",
               v.drop_pp ? fmt::format("{:+.1f}", v.drop_pp->estimate) : "-", 100 * v.top1.estimate,
               v.ms_per_token, v.time_ratio, i == measured.choice.channel ? "<- chosen" : v.reason);
  }
}

void print_modes(const Measured& measured) {
  fmt::print("\n{:<16} {:>9} {:>8} {:>18}\n", "drafting", "ms/token", "to off", "acceptance length");
  for (std::size_t i = 0; i < measured.modes.size(); ++i) {
    const ModeCell& cell = measured.modes[i];
    const ModeVerdict& v = measured.choice.modes[i];
    const std::string name = cell.width > 0 ? fmt::format("{} {}", to_string(cell.speculation), cell.width)
                                            : std::string(to_string(cell.speculation));
    fmt::print("{:<16} {:>9.2f} {:>8.2f} {:>18}  {}\n", name, v.ms_per_token, v.time_ratio,
               v.acceptance_length > 0 ? fmt::format("{:.2f}", v.acceptance_length) : "-",
               i == measured.choice.mode ? "<- chosen" : "");
  }
}

Status write_profile(const std::string& path, const Json& profile) {
  std::error_code error;
  const fs::path directory = fs::path(path).parent_path();
  if (!directory.empty()) fs::create_directories(directory, error);
  if (error) return io_error(fmt::format("create {}: {}", directory.string(), error.message()));
  return acceptance::write_files(
      {{path, profile.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"}});
}

int finish(const Flags& flags, const Engine& engine, const Measured& measured) {
  std::string path = flags.out;
  if (path.empty() && !flags.dry_run) {
    const auto place = profile_path(engine.target().id, measured.target_fingerprint);
    if (!place.ok()) return fail(place.error(), "--out FILE writes it elsewhere");
    path = *place;
  }
  const Json profile = profile_json(flags, engine, measured);
  if (!flags.dry_run) {
    const Status written = write_profile(path, profile);
    if (!written.ok()) return fail(written.error(), "--out FILE writes it elsewhere");
  }
  if (flags.json) {
    print_json(profile);
    return kOk;
  }
  print_channels(measured);
  print_modes(measured);
  fmt::print("\nchosen: {}\n", chosen(flags, measured).words());
  if (const auto& band = measured.choice.band) {
    fmt::print("acceptance length {:.2f}; the mean of {} requests stays between {:.2f} and {:.2f}\n",
               band->mean, band->window, band->low, band->high);
  }
  if (flags.dry_run) return kOk;
  fmt::print("profile: {}\n", path);
  if (flags.out.empty()) fmt::print("run and chat use it from now on; --no-profile or other flags win\n");
  return kOk;
}

int run(Flags flags, const Context& context) {
  if (!flags.model_argument.empty()) flags.model.model = flags.model_argument;
  flags.model.no_profile = true;
  const auto model = open_model(flags.model, context);
  if (!model.ok()) return fail(model.error(), next_step_of(model.error()));
  if (!flags.model.draft_kv.empty()) flags.tune.draft_kv = flags.model.draft_kv;
  catch_interrupts();
  const auto measured = measure(*model->engine, flags);
  if (!measured.ok()) {
    const bool usage = measured.error().code == ErrorCode::kInvalidArgument;
    return fail(measured.error(), usage ? "kakeya-llm codec list shows the KV channels" : "");
  }
  return finish(flags, *model->engine, *measured);
}

void add_measure_flags(CLI::App* command, Flags& flags) {
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
      ->capture_default_str();
  command
      ->add_option("--widths", flags.tune.widths,
                   "verify widths to try; default: 2, 4, ... and the draft's block")
      ->delimiter(',')
      ->check(CLI::Range(2, 512));
  command->add_option("--seed", flags.tune.seed, "of the choice of prompts")->capture_default_str();
  command->add_option("--margin", flags.rules.margin_pp, "points of acceptance rate that a channel may lose")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--min-top1", flags.rules.min_top1,
                   "share of positions at which a channel must choose the token that bf16 chooses")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
}

}  // namespace

void add_tune(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      add_command(app, "tune", "Measure which KV channel and drafting suit this machine, and remember it",
                  "  kakeya-llm tune\n"
                  "  kakeya-llm tune Qwen/Qwen3-8B --prompts my-prompts.txt\n"
                  "  kakeya-llm tune qwen3-4b --channels e8-q38,e8-q10,q8_0 --widths 4,8,16 --margin 2\n"
                  "run and chat read what it writes. docs/howto/tune.md has the rules and the format.");
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
                      "file for the profile, instead of the place where run and chat look");
  command->add_flag("--dry-run", flags->dry_run, "measure and show; write nothing");
  command->add_flag("--json", flags->json, "the profile as one JSON object");
  on_run(command, context, [flags, &context] { return run(*flags, context); });
}

}  // namespace kakeya::cli
