#include "cli/model_setup.h"

#include <fmt/format.h>
#include <kakeya/codec.h>

#include <algorithm>
#include <filesystem>

#include "cli/places.h"

namespace kakeya::cli {
namespace {

namespace fs = std::filesystem;

bool is_alias(const std::string& word) {
  std::string lower = word;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::any_of(hub::aliases(), [&](const hub::Alias& alias) { return lower == alias.name; });
}

// What flags leave open, the profile says.
Status apply_profile(const ModelFlags& flags, OpenModel& out) {
  KAKEYA_ASSIGN(auto profile, profile_for(*out.engine, flags.profile, flags.no_profile));
  if (!profile) return {};
  const ProfileChoice& choice = profile->choice;
  ChoiceParts parts;
  parts.kv = flags.kv.empty();
  parts.draft_kv = flags.draft_kv.empty() && out.engine->draft() != nullptr;
  parts.drafting = flags.speculation.empty() && flags.verify_width == 0 && out.engine->draft() != nullptr;
  if (parts.kv) out.session.kv = choice.kv;
  if (parts.draft_kv) out.session.draft_kv = choice.draft_kv;
  if (parts.drafting) {
    KAKEYA_ASSIGN(out.speculation, parse_speculation(choice.speculation));
    if (out.speculation == Speculation::kFixed) out.verify_width = choice.verify_width;
  }
  if (const std::string words = choice.words(parts); !words.empty()) {
    fmt::print(stderr, "note: {} by the profile of {} ({}); --no-profile leaves it out\n", words,
               profile->created_at, profile->path);
  }
  out.profile = std::move(profile);
  return {};
}

Status check_draft_flags(const ModelFlags& flags, const OpenModel& out) {
  if (out.engine->draft() != nullptr) return {};
  const bool asked = flags.speculation == "auto" || flags.speculation == "fixed" || flags.verify_width != 0;
  if (!asked) return {};
  return invalid_argument(
      "--verify-width and --speculation are about a draft, and there is none; add --draft NAME");
}

}  // namespace

void add_model_flags(CLI::App* command, ModelFlags& flags) {
  command->add_option(
      "--draft", flags.draft,
      "DFlash draft: a directory, a GGUF file or a pulled model. Default: the published draft of the "
      "model, where it was pulled");
  command->add_flag("--no-draft", flags.no_draft, "plain decoding, even where a draft is known");
  command->add_option("--kv", flags.kv, "KV channel of the target; 'codec list' shows them. Default: bf16");
  command->add_option("--draft-kv", flags.draft_kv, "KV channel of the draft. Default: bf16");
  command
      ->add_option(
          "--speculation", flags.speculation,
          "auto: as many drafted tokens as pay, the default; fixed: whole blocks; off: none. The text "
          "is the same")
      ->check(CLI::IsMember({"auto", "fixed", "off"}));
  command->add_option("--verify-width", flags.verify_width,
                      "rows the target verifies at once, with --speculation fixed; 0 = the draft's block");
  command->add_option("--ctx", flags.context, "context in tokens, prompt and answer; 0 = the model's")
      ->capture_default_str();
  command->add_option("--threads", flags.threads, "0 = every core this process may use")
      ->capture_default_str();
  add_profile_flags(command, flags.profile, flags.no_profile);
}

void add_profile_flags(CLI::App* command, std::string& file, bool& none) {
  auto* leave_out = command->add_flag("--no-profile", none, "leave out what 'tune' found for this model");
  command
      ->add_option("--profile", file,
                   "what 'tune --out FILE' wrote, instead of the profile in its usual place")
      ->excludes(leave_out);
}

Result<std::optional<Profile>> profile_for(const Engine& engine, const std::string& file, bool none) {
  if (none) return std::optional<Profile>();
  if (!file.empty()) {
    KAKEYA_ASSIGN(Profile profile, take_profile(file, subject_of(engine)));
    return std::optional<Profile>(std::move(profile));
  }
  KAKEYA_ASSIGN(FoundProfile found, find_profile(subject_of(engine)));
  if (!found.refusal.empty()) fmt::print(stderr, "note: {}\n", found.refusal);
  return std::move(found.profile);
}

Result<std::string> choose_draft(const ModelFlags& flags, bool say) {
  if (flags.no_draft && !flags.draft.empty()) {
    return invalid_argument(
        fmt::format("found --draft {} and --no-draft, expected one of them", flags.draft));
  }
  if (flags.no_draft) return std::string();
  if (flags.draft == "auto") return known_draft(flags.model);
  if (!flags.draft.empty()) return flags.draft;
  const auto known = known_draft(flags.model);
  if (!known.ok()) return std::string();
  if (*known != "tiny" && !resolve_name(*known).ok()) {
    if (say) {
      fmt::print(stderr, "note: {} is a draft for this model: kakeya-llm pull {} gets it\n", *known, *known);
    }
    return std::string();
  }
  if (say) {
    fmt::print(stderr, "note: drafting with {}, the known draft of {} (--no-draft leaves it out)\n", *known,
               flags.model);
  }
  return *known;
}

bool names_model(const std::string& word) {
  if (word == "tiny" || word.rfind("random:", 0) == 0 || is_alias(word)) return true;
  if (word.empty() || word.find_first_of(" \t\n") != std::string::npos) return false;
  const fs::path path(word);
  std::error_code error;
  if (path.extension() == ".gguf") return true;
  // A directory without a model is an error that says so, not the beginning of a prompt.
  if (fs::is_directory(path, error)) return true;
  return word.find('/') != std::string::npos &&
         (word.front() == '/' || word.front() == '.' || hub::parse_model_id(word.substr(0, word.find(':'))));
}

Result<Speculation> parse_speculation(const std::string& name) {
  if (name == "auto" || name == "on") return Speculation::kAuto;
  if (name == "fixed") return Speculation::kFixed;
  if (name == "off") return Speculation::kOff;
  return invalid_argument(fmt::format("speculation: found '{}', expected on, off, auto or fixed", name));
}

std::string_view next_step_of(const Error& error) {
  return error.code == ErrorCode::kNotFound ? "kakeya-llm list shows the models that are here" : "";
}

std::string_view channel_step(const std::vector<std::string>& channels, std::size_t head_dim) {
  const bool all = std::ranges::all_of(
      channels, [&](const std::string& name) { return channel_info(name, head_dim).ok(); });
  return all ? "" : "kakeya-llm codec list shows the KV channels";
}

std::string_view channel_step(const SessionOptions& options, const Engine& engine) {
  const std::string_view step = channel_step({options.kv}, engine.target().head_dim);
  const ModelInfo& draft = engine.draft() != nullptr ? *engine.draft() : engine.target();
  return step.empty() ? channel_step({options.draft_kv}, draft.head_dim) : step;
}

Status check_context(std::size_t tokens, const ModelInfo& target) {
  if (tokens <= target.max_position_embeddings) return {};
  return invalid_argument(fmt::format("--ctx: found {}, expected at most {}, the context of {}", tokens,
                                      target.max_position_embeddings, target.id));
}

std::vector<std::string> example_channels(const std::string& own) {
  std::vector<std::string> out = {own};
  for (const ChannelPattern& pattern : channel_patterns()) {
    for (const std::string& name : pattern.examples) {
      if (std::ranges::find(out, name) == out.end()) out.push_back(name);
    }
  }
  return out;
}

Result<OpenModel> open_model(const ModelFlags& flags, const Context& context) {
  EngineFlags engine;
  engine.target = flags.model;
  engine.threads = flags.threads;
  KAKEYA_ASSIGN(engine.draft, choose_draft(flags, true));
  OpenModel out;
  KAKEYA_ASSIGN(out.engine, open_engine(engine, context));
  KAKEYA_TRY(check_context(flags.context, out.engine->target()));
  KAKEYA_TRY(check_draft_flags(flags, out));
  KAKEYA_TRY(apply_profile(flags, out));
  if (!flags.kv.empty()) out.session.kv = flags.kv;
  if (!flags.draft_kv.empty()) out.session.draft_kv = flags.draft_kv;
  if (!flags.speculation.empty()) {
    KAKEYA_ASSIGN(out.speculation, parse_speculation(flags.speculation));
  }
  if (flags.verify_width != 0) {
    if (flags.speculation == "auto" || flags.speculation == "off") {
      return invalid_argument(
          fmt::format("found --verify-width {} and --speculation {}, expected --speculation fixed",
                      flags.verify_width, flags.speculation));
    }
    out.speculation = Speculation::kFixed;
    out.verify_width = flags.verify_width;
  }
  out.session.max_tokens = flags.context;
  return out;
}

}  // namespace kakeya::cli
