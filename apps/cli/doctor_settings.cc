// What run, chat and serve would use for a model, and which of flags in files, variables, profile and
// defaults says so.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <kakeya/estimate.h>

#include <array>
#include <cstdlib>

#include "cli/doctor_checks.h"
#include "cli/model_setup.h"
#include "cli/places.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Setting {
  std::string name, value, source;
};

struct Subject {
  ModelSummary target;
  std::optional<ModelSummary> draft;
  std::string isa;

  ProfileSubject view() const { return {target.info, draft ? &draft->info : nullptr, isa}; }
};

Result<Subject> open_subject(const DoctorOptions& options) {
  ModelFlags flags;
  if (!options.model.empty()) flags.model = options.model;
  flags.draft = options.draft;
  KAKEYA_ASSIGN(std::string draft, choose_draft(flags, false));
  std::string target = flags.model;
  KAKEYA_TRY(resolve_in_place(target));
  Subject out;
  out.isa = options.isa.empty() ? available_isas().back() : options.isa;
  KAKEYA_ASSIGN(out.target, summarize_model(target, ModelRole::kTarget, options.share_dir));
  if (draft.empty()) return out;
  KAKEYA_TRY(resolve_in_place(draft));
  KAKEYA_ASSIGN(out.draft, summarize_model(draft, ModelRole::kDraft, options.share_dir));
  return out;
}

// What a variable or the configuration file says about a flag of another command: doctor itself has no such
// flag.
std::optional<Setting> given(const CLI::App& command, const std::string& name, const std::string& file) {
  const CLI::Option* option = command.get_option_no_throw("--" + name);
  if (option == nullptr) return std::nullopt;
  if (const char* value = std::getenv(option->get_envname().c_str());
      !option->get_envname().empty() && value != nullptr && *value != '\0') {
    return Setting{name, value, option->get_envname()};
  }
  if (option->count() > 0) return Setting{name, option->results().front(), file};
  return std::nullopt;
}

bool says_yes(const std::optional<Setting>& setting) {
  return setting && setting->value != "false" && setting->value != "0" && setting->value != "off";
}

Result<FoundProfile> profile_of(const CLI::App& command, const DoctorOptions& options,
                                const Subject& subject) {
  if (says_yes(given(command, "no-profile", options.config_file))) return FoundProfile();
  if (const auto file = given(command, "profile", options.config_file)) {
    FoundProfile out;
    KAKEYA_ASSIGN(out.profile, take_profile(file->value, subject.view()));
    return out;
  }
  return find_profile(subject.view());
}

// The value that the profile gives a flag; nothing when it gives none.
std::optional<std::string> profiled(const Profile& profile, const std::string& name, bool has_draft) {
  const ProfileChoice& choice = profile.choice;
  if (name == "kv") return choice.kv;
  if (name == "draft-kv") return choice.draft_kv;
  if (name == "speculation" && has_draft) return choice.speculation;
  if (name == "verify-width" && has_draft) return fmt::to_string(choice.verify_width);
  if (name == "tripwire" && profile.band) return fmt::format("{:.2f}", profile.band->low);
  return std::nullopt;
}

std::vector<Setting> settings_of(const CLI::App& command, const DoctorOptions& options,
                                 const std::optional<Profile>& profile, bool has_draft) {
  struct Default {
    const char *name, *value;
  };
  static constexpr std::array kDefaults = {Default{"kv", "bf16"}, Default{"draft-kv", "bf16"},
                                           Default{"speculation", "auto"}, Default{"verify-width", "0"},
                                           Default{"tripwire", "0"}};
  // Either of the two that is given decides both.
  const bool own_drafting = given(command, "speculation", options.config_file).has_value() ||
                            given(command, "verify-width", options.config_file).has_value();
  std::vector<Setting> out;
  for (const Default& standard : kDefaults) {
    const std::string name = standard.name;
    if (command.get_option_no_throw("--" + name) == nullptr) continue;
    if (auto set = given(command, name, options.config_file)) {
      out.push_back(std::move(*set));
      continue;
    }
    const bool drafting = name == "speculation" || name == "verify-width";
    const auto tuned =
        profile && !(drafting && own_drafting) ? profiled(*profile, name, has_draft) : std::nullopt;
    out.push_back({name, tuned.value_or(standard.value), tuned ? "profile" : "default"});
  }
  return out;
}

Check settings_check(const CLI::App& command, const DoctorOptions& options, const Subject& subject) {
  Check check{"settings of " + command.get_name(), Level::kOk, "", "", {}};
  const auto found = profile_of(command, options, subject);
  if (!found.ok()) {
    check.level = Level::kFail;
    check.found = found.error().message;
    check.next_step = "kakeya-llm tune writes another; --no-profile leaves it out";
    return check;
  }
  std::vector<std::string> words;
  Json list = Json::array();
  for (const Setting& s : settings_of(command, options, found->profile, subject.draft.has_value())) {
    words.push_back(fmt::format("{} {} ({})", s.name, s.value, s.source));
    list.push_back({{"name", s.name}, {"value", s.value}, {"source", s.source}});
  }
  check.found = fmt::format("{}", fmt::join(words, ", "));
  check.detail = {{"model", subject.target.info.id},
                  {"draft", subject.draft ? Json(subject.draft->info.id) : Json()},
                  {"profile", found->profile ? Json(found->profile->path) : Json()},
                  {"settings", std::move(list)}};
  if (found->profile) check.found += fmt::format("; profile {}", found->profile->path);
  if (found->refusal.empty()) return check;
  check.level = Level::kWarn;
  const std::size_t step = found->refusal.find("; kakeya-llm tune");  // how every refusal of a profile ends
  check.found += "; " + found->refusal.substr(0, step);
  check.next_step = found->refusal.substr(step + 2);
  return check;
}

}  // namespace

void check_settings(const DoctorOptions& options, const CLI::App& app, Checks& out) {
  const auto subject = open_subject(options);
  if (!subject.ok()) return;  // said where the model is opened
  for (const char* name : {"run", "chat", "serve"}) {
    out.push_back(settings_check(*app.get_subcommand(name), options, *subject));
  }
}

}  // namespace kakeya::cli
