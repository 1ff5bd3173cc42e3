// kakeya-llm serve: signals, and the lines that say when the server is ready.
#include "serve/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "acceptance/files.h"
#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/serve_flags.h"
#include "cli/settings.h"
#include "serve/limited_service.h"

namespace kakeya::cli {
namespace {

// Where nothing is said: more would make the caches of several slots large on models with long contexts.
constexpr std::size_t kDefaultContext = 16384;
constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;

// SIGINT and SIGTERM, taken by a thread of its own: the first asks for the end, the second one is it.
class Signals {
 public:
  // Before any other thread starts: they inherit that the two are blocked.
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::thread([this] { run(); }).detach();
  }
  // Before this, the first signal is the end already: there is nothing to finish.
  void expect() {
    const std::lock_guard lock(mutex_);
    ready_ = true;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    asked_.wait(lock, [&] { return count_ > 0; });
  }

 private:
  void run() {
    while (true) {
      int signal = 0;
      if (sigwait(&set_, &signal) != 0) continue;
      const std::lock_guard lock(mutex_);
      if (!ready_ || ++count_ > 1) _exit(kInterruptedCode);
      asked_.notify_all();
    }
  }

  sigset_t set_{};
  std::mutex mutex_;
  std::condition_variable asked_;
  bool ready_ = false;
  int count_ = 0;
};

// KAKEYA_API_KEY is --api-key already, as every flag has its variable.
void add_keys(serve::Options& options) {
  const char* key = std::getenv("LLAMA_API_KEY");
  if (options.api_keys.empty() && key != nullptr && *key != '\0') options.api_keys.emplace_back(key);
}

std::string drafting_words(const ServeFlags& flags) {
  if (flags.verify_width != 0) return fmt::format("fixed, width {}", flags.verify_width);
  return flags.speculation.empty() ? "auto" : flags.speculation;
}

// Requests that say nothing about drafting get the server's own way.
struct Drafting {
  Speculation speculation = Speculation::kAuto;
  std::size_t verify_width = 0;

  void apply(dialog::DialogRequest& request) const {
    if (request.speculation || request.block_size != 0 || request.verify_width != 0) return;
    request.speculation = speculation;
    request.verify_width = verify_width;
  }
};
Result<Drafting> drafting_of(const ServeFlags& flags, const Engine& engine) {
  Drafting out;
  if (!flags.speculation.empty()) {
    KAKEYA_ASSIGN(out.speculation, parse_speculation(flags.speculation));
  }
  if (flags.speculation == "fixed" && engine.draft() == nullptr) {
    return invalid_argument("--speculation fixed needs a draft, and there is none; add --draft NAME");
  }
  if (flags.verify_width == 0) return out;
  if (flags.speculation == "auto" || flags.speculation == "off") {
    return invalid_argument(
        fmt::format("found --verify-width {} and --speculation {}, expected --speculation fixed",
                    flags.verify_width, flags.speculation));
  }
  if (engine.draft() == nullptr) {
    return invalid_argument("--verify-width is about a draft, and there is none; add --draft NAME");
  }
  out.speculation = Speculation::kFixed;
  out.verify_width = flags.verify_width;
  return out;
}

// The words that starters of llama-server wait for.
void print_ready(const serve::Server& server, const ServeFlags& flags, const Engine& engine,
                 const Service& service) {
  const serve::Options& options = flags.server;
  for (const std::string& url : server.urls()) {
    fmt::print(stderr, "main: server is listening on {} - starting the main loop\n", url);
  }
  fmt::print(stderr, "srv  update_slots: all slots are idle\n");
  fmt::print("{}\n", server.urls().front());
  if (options.api_keys.empty() && options.insecure_no_auth) {
    fmt::print(stderr, "warning: no API key: every machine that reaches this address can use it\n");
  }
  const SessionOptions& session = service.options().session;
  fmt::print(stderr, "{} slots of {} tokens, KV {}{}\n", service.options().slots, session.max_tokens,
             session.kv, engine.draft() == nullptr ? "" : ", drafting " + drafting_words(flags));
  std::fflush(stdout);
  std::fflush(stderr);
}

void print_devices(const Context& context) {
  const auto isas = available_isas();
  const auto pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  fmt::print("Available devices:\n  CPU: {} ({} MiB)\n", context.isa.empty() ? isas.back() : context.isa,
             static_cast<long long>(pages) * page / (1 << 20));
}

// What the flags leave open, the profile of `tune` says: channels, drafting, and where the tripwire is.
Status apply_profile(ServeFlags& flags, const Engine& engine, const CLI::App& command) {
  KAKEYA_ASSIGN(const auto profile, profile_for(engine, flags.profile, flags.no_profile));
  if (!profile) return {};
  ChoiceParts parts;
  parts.kv = command.count("--kv") == 0;
  parts.draft_kv = command.count("--draft-kv") == 0 && engine.draft() != nullptr;
  parts.drafting = flags.speculation.empty() && flags.verify_width == 0 && engine.draft() != nullptr;
  const ProfileChoice& choice = profile->choice;
  if (parts.drafting) flags.speculation = choice.speculation;
  if (parts.drafting && flags.speculation == "fixed") flags.verify_width = choice.verify_width;
  if (parts.kv) flags.service.session.kv = choice.kv;
  if (parts.draft_kv) flags.service.session.draft_kv = choice.draft_kv;
  std::string words = choice.words(parts);
  if (command.count("--tripwire") == 0 && profile->band) {
    flags.server.tripwire = profile->band->low;
    words += fmt::format("{}tripwire {:.2f}", words.empty() ? "" : ", ", flags.server.tripwire);
  }
  if (words.empty()) return {};
  fmt::print(stderr, "note: {} by the profile of {} ({}); --no-profile leaves it out\n", words,
             profile->created_at, profile->path);
  return {};
}

void resolve(ServeFlags& flags, const Engine& engine) {
  if (!flags.hosts.empty()) flags.server.hosts = flags.hosts;
  if (!flags.names.empty()) {
    flags.server.model_id = flags.names.front();
    flags.server.aliases = flags.names;
  }
  // A pulled model keeps the name by which it was asked for; a path has its last component.
  if (flags.server.model_id.empty() && !std::filesystem::exists(flags.engine.target)) {
    flags.server.model_id = flags.engine.target;
  }
  if (flags.service.session.max_tokens == 0) {
    flags.service.session.max_tokens = std::min(engine.target().max_position_embeddings, kDefaultContext);
  }
  flags.service.kv_allowed = flags.server.kv_allowed;
  flags.server.timeout = std::chrono::seconds(flags.timeout_s);
  flags.server.grace = std::chrono::seconds(flags.grace_s);
  flags.server.log_requests = !flags.quiet;
  flags.server.show_slots = !flags.no_slots;
  flags.server.show_metrics = !flags.no_metrics;
  add_keys(flags.server);
}

int run(ServeFlags flags, const CLI::App& command, const Context& context) {
  if (!flags.model_argument.empty()) {
    const bool both = on_command_line(*command.get_option("--target"), context.arguments);
    if (both) {
      return fail(invalid_argument(fmt::format("serve: found the models '{}' and --target '{}', expected one",
                                               flags.model_argument, flags.engine.target)));
    }
    flags.engine.target = flags.model_argument;
  }
  if (flags.list_devices) {
    print_devices(context);
    return kOk;
  }
  if (!flags.template_file.empty()) {
    const auto text = acceptance::read_whole_file(flags.template_file, kMaxTemplateBytes);
    if (!text.ok()) return fail(text.error());
    flags.engine.chat_template = *text;
  }
  static Signals* const signals = new Signals;  // its thread has no end
  const auto engine = open_engine(flags.engine, context);
  if (!engine.ok()) return fail(engine.error());
  if (const Status applied = apply_profile(flags, **engine, command); !applied.ok()) {
    return fail(applied.error());
  }
  const auto drafting = drafting_of(flags, **engine);
  if (!drafting.ok()) return fail(drafting.error());
  if (const Status fits = check_context(flags.service.session.max_tokens, (*engine)->target()); !fits.ok()) {
    return fail(fits.error());
  }
  resolve(flags, **engine);
  auto service = (*engine)->new_service(flags.service);
  if (!service.ok()) return fail(service.error(), channel_step(flags.service.session, **engine));
  serve::LimitedService limited(**service, flags.server.max_prompt_tokens);
  const auto ask = [&](dialog::DialogRequest request) {
    drafting->apply(request);
    return dialog::ask(**engine, limited, std::move(request));
  };
  const auto server = serve::Server::start(**engine, limited, flags.server, ask);
  if (!server.ok()) return fail(server.error());
  signals->expect();
  mention_known_draft(flags.engine);
  print_ready(**server, flags, **engine, **service);
  signals->wait();
  fmt::print(stderr, "closing: running requests have {} s; a second signal ends at once\n", flags.grace_s);
  (*server)->drain();
  return kOk;
}

}  // namespace

void add_serve(CLI::App& app, Context& context) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command =
      add_command(app, "serve", "Serve the OpenAI, Anthropic and Ollama APIs on this machine",
                  "  kakeya-llm serve tiny --draft tiny\n"
                  "  kakeya-llm serve ./Qwen3-8B --draft ./Qwen3-8B-DFlash-b16 --kv e8-q38 --slots 2\n"
                  "  kakeya-llm serve --host 0.0.0.0 --api-key SECRET --alias qwen3-8b\n"
                  "  curl http://127.0.0.1:8017/v1/models");
  add_serve_flags(command, *flags);
  on_run(command, context, [flags, command, &context] { return run(*flags, *command, context); });
}

}  // namespace kakeya::cli
