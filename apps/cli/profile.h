// What `tune` found for a model on this machine: a file that run, chat and serve read. Format:
// docs/howto/tune.md.
#pragma once
#include <kakeya/engine.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/command.h"

namespace kakeya::cli {

constexpr const char* kProfileSchema = "kakeya-profile-v1";

struct ProfileChoice {
  std::string kv = "bf16", draft_kv = "bf16";
  std::string speculation = "off";  // "auto", "fixed", "off"
  std::size_t verify_width = 0;     // fixed only

  std::string words() const;  // "KV e8-q10, speculation fixed, width 4"
};

// Mean acceptance length of `window` requests under the choice: outside of it something has changed.
struct AcceptanceBand {
  double mean = 0, low = 0, high = 0;
  std::size_t window = 0;
};

struct Profile {
  std::string path;
  std::string created_at;
  std::string target_fingerprint, draft_fingerprint;  // draft: empty without one
  ProfileChoice choice;
  std::optional<AcceptanceBand> band;  // none without a draft
};

// Where the profile of a model lies: in config_directory()/profiles, named by the model's id and the
// beginning of its fingerprint. Errors: kNotFound without a place for configuration.
Result<std::string> profile_path(const std::string& id, const std::string& fingerprint);

// Errors: kNotFound, kIo, kCorruptData naming the field.
Result<Profile> read_profile(const std::string& path);

// The profile that fits this engine's target and draft; nothing when there is none. A profile measured with
// another draft is left out with a note on stderr. Errors: those of read_profile, with what to do.
Result<std::optional<Profile>> find_profile(const Engine& engine);

}  // namespace kakeya::cli
