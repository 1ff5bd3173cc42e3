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

// What of a choice is in effect: flags win over each part.
struct ChoiceParts {
  bool kv = true, draft_kv = true, drafting = true;
};

struct ProfileChoice {
  std::string kv = "bf16", draft_kv = "bf16";
  std::string speculation = "off";  // "auto", "fixed", "off"
  std::size_t verify_width = 0;     // fixed only

  // "KV e8-q10, speculation fixed, width 4", of the parts that are in effect.
  std::string words(const ChoiceParts& parts = {}) const;
};

// Mean acceptance length of `window` requests under the choice: outside of it something has changed.
struct AcceptanceBand {
  double mean = 0, low = 0, high = 0;
  std::size_t window = 0;
};

struct Profile {
  std::string path;
  std::string created_at;
  std::string target_id, draft_id;                    // draft: empty without one
  std::string target_fingerprint, draft_fingerprint;  // draft: empty without one
  std::string cpu, isa;                               // of the machine
  int cores = 0;
  ProfileChoice choice;
  std::optional<AcceptanceBand> band;  // none without a draft
};

// Where the profile of a model lies: in config_directory()/profiles, named by the model's id and the
// beginning of its fingerprint. Errors: kNotFound without a place for configuration.
Result<std::string> profile_path(const std::string& id, const std::string& fingerprint);

// Errors: kNotFound, kIo, kCorruptData naming the field.
Result<Profile> read_profile(const std::string& path);

// What a profile must have been measured with to count.
struct ProfileSubject {
  const ModelInfo& target;
  const ModelInfo* draft = nullptr;
  std::string isa;
};
inline ProfileSubject subject_of(const Engine& engine) {
  return {engine.target(), engine.draft(), engine.isa()};
}

struct FoundProfile {
  std::optional<Profile> profile;  // that counts
  std::string refusal;             // of one that is there and does not: found, expected, next step
};
// The profile of the target in its usual place. Errors: those of read_profile, with what to do.
Result<FoundProfile> find_profile(const ProfileSubject& subject);
// The profile in `path`, which must count. Errors: those of read_profile; kUnsupported (another model, draft
// or machine: names both, and the next step).
Result<Profile> take_profile(const std::string& path, const ProfileSubject& subject);

// "acceptance length 2.10 here; 3.10 when it was tuned, 2.85 to 3.35 over 20 requests": for a reader of
// statistics. Empty without a band.
std::string band_words(const std::optional<Profile>& profile, double acceptance_length);

}  // namespace kakeya::cli
