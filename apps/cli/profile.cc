#include "cli/profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <kakeya/codec.h>
#include <kakeya/estimate.h>

#include <filesystem>

#include "acceptance/files.h"
#include "acceptance/machine.h"
#include "cli/places.h"
#include "cli/profile_fields.h"
#include "hub/json_text.h"

namespace kakeya::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxProfileBytes = std::size_t{16} << 20;
constexpr std::size_t kFingerprintDigits = 12;  // of the file's name

// Letters, digits, '.', '_' and '-' of an id.
std::string file_stem(const std::string& id) {
  std::string out;
  for (const char c : id) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    out += plain ? c : '_';
  }
  return out;
}

// Whether any profile of that id lies in the directory: spares the fingerprint of the model where there is
// none.
bool any_profile(const fs::path& directory, const std::string& stem) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().rfind(stem + "-", 0) == 0) return true;
  }
  return false;
}

std::string renewal(const ProfileSubject& subject) {
  const auto word = [](const ModelInfo& info) { return info.id == "tiny" ? info.id : info.path; };
  std::string command = "kakeya-llm tune " + word(subject.target);
  command += subject.draft != nullptr ? " --draft " + word(*subject.draft) : " --no-draft";
  return command + " measures anew; --no-profile leaves it out";
}

// Why the profile does not count here, with the next step; "" when it does.
Result<std::string> misfit(const Profile& profile, const ProfileSubject& subject, const std::string& target) {
  const auto words = [&](const std::string& found, const std::string& expected) {
    return fmt::format("profile {}: found one of {}, expected {}; {}", profile.path, found, expected,
                       renewal(subject));
  };
  const auto short_of = [](const std::string& fingerprint) {
    return fingerprint.substr(0, kFingerprintDigits);
  };
  if (profile.target_fingerprint != target) {
    return words(fmt::format("the model {} ({})", profile.target_id, short_of(profile.target_fingerprint)),
                 fmt::format("{} ({})", subject.target.id, short_of(target)));
  }
  std::string draft;
  if (subject.draft != nullptr) {
    KAKEYA_ASSIGN(draft, model_fingerprint(subject.draft->path, ModelRole::kDraft, ""));
  }
  if (profile.draft_fingerprint != draft) {
    const auto name = [&](const std::string& id, const std::string& fingerprint) {
      return fingerprint.empty() ? std::string("no draft")
                                 : fmt::format("the draft {} ({})", id, short_of(fingerprint));
    };
    return words("the model with " + name(profile.draft_id, profile.draft_fingerprint),
                 name(subject.draft != nullptr ? subject.draft->id : "", draft));
  }
  const acceptance::MachineFacts here = acceptance::machine_facts();
  if (profile.cpu != here.cpu || profile.cores != here.cores || profile.isa != subject.isa) {
    return words(fmt::format("another machine ({}, {} cores, {})", profile.cpu, profile.cores, profile.isa),
                 fmt::format("{}, {} cores, {}", here.cpu, here.cores, subject.isa));
  }
  return std::string();
}

Error with_way_out(const Error& error) {
  return {error.code, error.message + "; remove the file, or run with --no-profile"};
}

// What the choice names must be there for this pair: only its file can say something else.
Status check_choice(const Profile& profile, const ProfileSubject& subject) {
  const auto bad = [&](const char* field, const std::string& found, const std::string& expected) {
    return corrupt_data(
        fmt::format("profile {}: /choice/{}: found {}, expected {}", profile.path, field, found, expected));
  };
  const ProfileChoice& choice = profile.choice;
  if (const auto info = channel_info(choice.kv, subject.target.head_dim); !info.ok()) {
    return bad("kv", "'" + choice.kv + "'", "a KV channel of the target (" + info.error().message + ")");
  }
  const std::size_t draft_dim = (subject.draft != nullptr ? *subject.draft : subject.target).head_dim;
  if (const auto info = channel_info(choice.draft_kv, draft_dim); !info.ok()) {
    return bad("draft_kv", "'" + choice.draft_kv + "'",
               "a KV channel of the draft (" + info.error().message + ")");
  }
  const std::size_t most = subject.draft != nullptr ? subject.draft->block_size : 0;
  if (choice.verify_width > most) {
    return bad("verify_width", std::to_string(choice.verify_width),
               most == 0 ? "0 without a draft"
                         : fmt::format("at most {}, the block of {}", most, subject.draft->id));
  }
  return {};
}

}  // namespace

std::string ProfileChoice::words(const ChoiceParts& parts) const {
  std::vector<std::string> out;
  if (parts.kv) out.push_back("KV " + kv);
  if (parts.draft_kv && draft_kv != "bf16") out.push_back("draft KV " + draft_kv);
  if (parts.drafting) out.push_back("speculation " + speculation);
  if (parts.drafting && speculation == "fixed" && verify_width != 0) {
    out.push_back(fmt::format("width {}", verify_width));
  }
  return fmt::format("{}", fmt::join(out, ", "));
}

Result<std::string> profile_path(const std::string& id, const std::string& fingerprint) {
  const std::string directory = config_directory();
  if (directory.empty()) {
    return not_found("profile: found neither XDG_CONFIG_HOME nor HOME, expected one");
  }
  return fmt::format("{}/profiles/{}-{}.json", directory, file_stem(id),
                     fingerprint.substr(0, kFingerprintDigits));
}

Result<Profile> read_profile(const std::string& path) {
  KAKEYA_ASSIGN(const std::string text, acceptance::read_regular_file(path, kMaxProfileBytes));
  KAKEYA_ASSIGN(const Json root, hub::parse_json_text("profile " + path, text));
  if (!root.is_object()) return corrupt_data(fmt::format("profile {}: expected a JSON object", path));
  const ProfileFields fields(path, root);
  Profile out;
  out.path = path;
  KAKEYA_ASSIGN(const std::string schema, fields.get<std::string>("/schema", "a text"));
  if (schema != kProfileSchema) return fields.bad("/schema", schema, kProfileSchema);
  KAKEYA_ASSIGN(out.created_at, fields.get<std::string>("/created_at", "a date"));
  KAKEYA_ASSIGN(out.cpu, fields.get<std::string>("/machine/cpu", "a name"));
  KAKEYA_ASSIGN(out.isa, fields.get<std::string>("/machine/isa", "a CPU variant"));
  KAKEYA_ASSIGN(out.cores, fields.get<int>("/machine/cores", "a whole number"));
  KAKEYA_ASSIGN(out.target_id, fields.get<std::string>("/target/id", "a name"));
  KAKEYA_ASSIGN(out.target_fingerprint, fields.get<std::string>("/target/fingerprint", "a digest"));
  if (fields.has("/draft")) {
    KAKEYA_ASSIGN(out.draft_id, fields.get<std::string>("/draft/id", "a name"));
    KAKEYA_ASSIGN(out.draft_fingerprint, fields.get<std::string>("/draft/fingerprint", "a digest"));
  }
  KAKEYA_ASSIGN(out.choice.kv, fields.get<std::string>("/choice/kv", "a channel"));
  KAKEYA_ASSIGN(out.choice.draft_kv, fields.get<std::string>("/choice/draft_kv", "a channel"));
  KAKEYA_ASSIGN(out.choice.speculation, fields.get<std::string>("/choice/speculation", "auto, fixed or off"));
  const std::string& mode = out.choice.speculation;
  if (mode != "auto" && mode != "fixed" && mode != "off") {
    return fields.bad("/choice/speculation", mode, "auto, fixed or off");
  }
  KAKEYA_ASSIGN(out.choice.verify_width,
                fields.get<std::size_t>("/choice/verify_width", "a whole number from 0"));
  if (fields.has("/acceptance_band")) {
    AcceptanceBand& band = out.band.emplace();
    KAKEYA_ASSIGN(band.mean, fields.get<double>("/acceptance_band/mean", "a number"));
    KAKEYA_ASSIGN(band.low, fields.get<double>("/acceptance_band/low", "a number"));
    KAKEYA_ASSIGN(band.high, fields.get<double>("/acceptance_band/high", "a number"));
    KAKEYA_ASSIGN(band.window, fields.get<std::size_t>("/acceptance_band/window", "a whole number"));
  }
  return out;
}

Result<FoundProfile> find_profile(const ProfileSubject& subject) {
  const ModelInfo& target = subject.target;
  const std::string directory = config_directory();
  FoundProfile out;
  if (directory.empty() || !any_profile(fs::path(directory) / "profiles", file_stem(target.id))) return out;
  KAKEYA_ASSIGN(const std::string fingerprint, model_fingerprint(target.path, ModelRole::kTarget, ""));
  KAKEYA_ASSIGN(const std::string path, profile_path(target.id, fingerprint));
  auto profile = read_profile(path);
  if (!profile.ok() && profile.error().code == ErrorCode::kNotFound) {
    out.refusal = fmt::format("found profiles of {} in {}/profiles, but of other weights than these; {}",
                              target.id, directory, renewal(subject));
    return out;
  }
  if (!profile.ok()) return with_way_out(profile.error());
  KAKEYA_ASSIGN(out.refusal, misfit(*profile, subject, fingerprint));
  if (!out.refusal.empty()) return out;
  if (const Status status = check_choice(*profile, subject); !status.ok())
    return with_way_out(status.error());
  out.profile = std::move(*profile);
  return out;
}

Result<Profile> take_profile(const std::string& path, const ProfileSubject& subject) {
  KAKEYA_ASSIGN(Profile profile, read_profile(path));
  KAKEYA_ASSIGN(const std::string fingerprint,
                model_fingerprint(subject.target.path, ModelRole::kTarget, ""));
  KAKEYA_ASSIGN(const std::string refusal, misfit(profile, subject, fingerprint));
  if (!refusal.empty()) return unsupported(refusal);
  KAKEYA_TRY(check_choice(profile, subject));
  return profile;
}

std::string band_words(const std::optional<Profile>& profile, double acceptance_length) {
  if (!profile || !profile->band || acceptance_length <= 0) return {};
  const AcceptanceBand& band = *profile->band;
  return fmt::format(
      "acceptance length {:.2f} here; {:.2f} when it was tuned, {:.2f} to {:.2f} over {} requests",
      acceptance_length, band.mean, band.low, band.high, band.window);
}

}  // namespace kakeya::cli
