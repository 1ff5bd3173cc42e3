// From the flags of run and chat to an engine and a service with one slot: the model's name, its draft, the
// profile that `tune` wrote.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/service.h>

#include <memory>
#include <optional>
#include <string>

#include "cli/command.h"
#include "cli/profile.h"

namespace kakeya::cli {

struct ModelFlags {
  std::string model = "tiny";
  std::string draft;  // empty = the known one, where it is there
  bool no_draft = false, no_profile = false;
  std::string profile;  // a file; empty = the usual place
  int threads = 0;
  std::string kv, draft_kv;  // empty = the profile's, else bf16
  std::string speculation;   // empty = the profile's, else auto
  std::size_t verify_width = 0;
  std::size_t context = 0;  // 0 = the model's
};
// The model itself is a positional argument of each command.
void add_model_flags(CLI::App* command, ModelFlags& flags);

// --profile and --no-profile.
void add_profile_flags(CLI::App* command, std::string& file, bool& none);
// The profile in effect, if any: in `file`, or in its usual place. One that does not count there is named on
// stderr. Errors: as take_profile and find_profile.
Result<std::optional<Profile>> profile_for(const Engine& engine, const std::string& file, bool none);

// Whether a word names a model rather than begins a prompt: "tiny", "random:...", a short name, ORG/REPO, a
// GGUF file, a directory with a model.
bool names_model(const std::string& word);

struct OpenModel {
  std::unique_ptr<Engine> engine;
  SessionOptions session;
  Speculation speculation = Speculation::kAuto;
  std::size_t verify_width = 0;
  std::optional<Profile> profile;  // in effect
};

// Notes about the draft and the profile go to stderr. Errors: those of open_engine; kInvalidArgument for
// flags that contradict each other or a channel that is none.
Result<OpenModel> open_model(const ModelFlags& flags, const Context& context);

// What helps where a model could not be opened; empty where the message says it all.
std::string_view next_step_of(const Error& error);

// What helps where a channel is what is wrong; empty where these can be had.
std::string_view channel_step(const std::vector<std::string>& channels, std::size_t head_dim);
std::string_view channel_step(const SessionOptions& options, const Engine& engine);

// Errors: kInvalidArgument naming --ctx: more tokens than the model's context.
Status check_context(std::size_t tokens, const ModelInfo& target);

// Names of the channels that every registered pattern gives as an example, `own` first.
std::vector<std::string> example_channels(const std::string& own);

// The draft that flags name, or the known one where it is there; empty for none. Errors: kInvalidArgument
// (flags that contradict each other). `say`: notes on stderr when nobody asked for it.
Result<std::string> choose_draft(const ModelFlags& flags, bool say);

Result<Speculation> parse_speculation(const std::string& name);  // "auto" or "on", "fixed", "off"

}  // namespace kakeya::cli
