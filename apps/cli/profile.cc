#include "cli/profile.h"

#include <fmt/format.h>
#include <kakeya/estimate.h>

#include <filesystem>

#include "acceptance/files.h"
#include "cli/places.h"

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

class Fields {
 public:
  Fields(const std::string& path, const Json& root) : path_(path), root_(root) {}

  template <class T>
  Result<T> get(const std::string& pointer, const char* expected) const {
    const Json::json_pointer at(pointer);
    if (!root_.contains(at)) return bad(pointer, "nothing", expected);
    try {
      return root_.at(at).get<T>();
    } catch (const nlohmann::json::exception&) {
      return bad(pointer, root_.at(at).dump().substr(0, 40), expected);
    }
  }
  bool has(const std::string& pointer) const {
    const Json::json_pointer at(pointer);
    return root_.contains(at) && !root_.at(at).is_null();
  }
  Error bad(const std::string& pointer, const std::string& found, const std::string& expected) const {
    return corrupt_data(
        fmt::format("profile {}: {}: found {}, expected {}", path_, pointer, found, expected));
  }

 private:
  const std::string& path_;
  const Json& root_;
};

// Whether any profile of that id lies in the directory: spares the fingerprint of the model where there is
// none.
bool any_profile(const fs::path& directory, const std::string& stem) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().rfind(stem + "-", 0) == 0) return true;
  }
  return false;
}

Result<std::string> draft_fingerprint(const Engine& engine) {
  if (engine.draft() == nullptr) return std::string();
  return model_fingerprint(engine.draft()->path, ModelRole::kDraft, "");
}

}  // namespace

std::string ProfileChoice::words() const {
  std::string out = "KV " + kv;
  if (draft_kv != "bf16") out += ", draft KV " + draft_kv;
  out += ", speculation " + speculation;
  if (speculation == "fixed" && verify_width != 0) out += fmt::format(", width {}", verify_width);
  return out;
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
  KAKEYA_ASSIGN(const std::string text, acceptance::read_whole_file(path, kMaxProfileBytes));
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return corrupt_data(fmt::format("profile {}: expected a JSON object", path));
  const Fields fields(path, root);
  Profile out;
  out.path = path;
  KAKEYA_ASSIGN(const std::string schema, fields.get<std::string>("/schema", "a text"));
  if (schema != kProfileSchema) return fields.bad("/schema", schema, kProfileSchema);
  KAKEYA_ASSIGN(out.created_at, fields.get<std::string>("/created_at", "a date"));
  KAKEYA_ASSIGN(out.target_fingerprint, fields.get<std::string>("/target/fingerprint", "a digest"));
  if (fields.has("/draft")) {
    KAKEYA_ASSIGN(out.draft_fingerprint, fields.get<std::string>("/draft/fingerprint", "a digest"));
  }
  KAKEYA_ASSIGN(out.choice.kv, fields.get<std::string>("/choice/kv", "a channel"));
  KAKEYA_ASSIGN(out.choice.draft_kv, fields.get<std::string>("/choice/draft_kv", "a channel"));
  KAKEYA_ASSIGN(out.choice.speculation, fields.get<std::string>("/choice/speculation", "auto, fixed or off"));
  KAKEYA_ASSIGN(out.choice.verify_width, fields.get<std::size_t>("/choice/verify_width", "a number"));
  if (fields.has("/acceptance_band")) {
    AcceptanceBand& band = out.band.emplace();
    KAKEYA_ASSIGN(band.mean, fields.get<double>("/acceptance_band/mean", "a number"));
    KAKEYA_ASSIGN(band.low, fields.get<double>("/acceptance_band/low", "a number"));
    KAKEYA_ASSIGN(band.high, fields.get<double>("/acceptance_band/high", "a number"));
    KAKEYA_ASSIGN(band.window, fields.get<std::size_t>("/acceptance_band/window", "a number"));
  }
  return out;
}

Result<std::optional<Profile>> find_profile(const Engine& engine) {
  const ModelInfo& target = engine.target();
  const std::string directory = config_directory();
  if (directory.empty() || !any_profile(fs::path(directory) / "profiles", file_stem(target.id))) {
    return std::optional<Profile>();
  }
  KAKEYA_ASSIGN(const std::string fingerprint, model_fingerprint(target.path, ModelRole::kTarget, ""));
  KAKEYA_ASSIGN(const std::string path, profile_path(target.id, fingerprint));
  auto profile = read_profile(path);
  if (!profile.ok() && profile.error().code == ErrorCode::kNotFound) return std::optional<Profile>();
  if (!profile.ok()) {
    return Error{profile.error().code,
                 profile.error().message + "; remove the file, or run with --no-profile"};
  }
  if (profile->target_fingerprint != fingerprint) return std::optional<Profile>();
  KAKEYA_ASSIGN(const std::string draft, draft_fingerprint(engine));
  if (draft == profile->draft_fingerprint) return std::optional<Profile>(std::move(*profile));
  fmt::print(stderr,
             "note: the profile {} was measured {}, so it does not count; kakeya-llm tune renews it\n", path,
             profile->draft_fingerprint.empty() ? "without a draft" : "with another draft");
  return std::optional<Profile>();
}

}  // namespace kakeya::cli
