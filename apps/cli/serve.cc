// kakeya-llm serve: flags, signals, and the lines that say when the server is ready.
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

#include "cli/commands.h"
#include "cli/profile.h"
#include "serve/limited_service.h"

namespace kakeya::cli {
namespace {

// Where nothing is said: more would make the caches of several slots large on models with long contexts.
constexpr std::size_t kDefaultContext = 16384;

struct Flags {
  EngineFlags engine;
  ServiceOptions service;
  serve::Options server;
  std::vector<std::string> hosts;
  std::int64_t timeout_s = 0, grace_s = 30;
  bool quiet = false, list_devices = false, no_profile = false;
};

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

// The words that starters of llama-server wait for.
void print_ready(const serve::Server& server, const serve::Options& options, const Service& service) {
  for (const std::string& url : server.urls()) {
    fmt::print(stderr, "main: server is listening on {} - starting the main loop\n", url);
  }
  fmt::print(stderr, "srv  update_slots: all slots are idle\n");
  fmt::print("{}\n", server.urls().front());
  if (options.api_keys.empty() && options.insecure_no_auth) {
    fmt::print(stderr, "warning: no API key: every machine that reaches this address can use it\n");
  }
  const SessionOptions& session = service.options().session;
  fmt::print(stderr, "{} slots of {} tokens, KV {}\n", service.options().slots, session.max_tokens,
             session.kv);
  std::fflush(stdout);
  std::fflush(stderr);
}

void print_devices(const Context& context) {
  const auto isas = available_isas();
  const auto pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  fmt::print("Available devices:\n  CPU: {} ({} MiB)\n", context.isa.empty() ? isas.back() : context.isa,
             static_cast<long long>(pages) * page / (1 << 20));
}

// What the flags leave open, the profile of `tune` says: channels, and where the tripwire is.
Status apply_profile(Flags& flags, const Engine& engine, const CLI::App& command) {
  if (flags.no_profile) return {};
  KAKEYA_ASSIGN(const auto profile, find_profile(engine));
  if (!profile) return {};
  if (command.count("--kv") == 0) flags.service.session.kv = profile->choice.kv;
  if (command.count("--draft-kv") == 0) flags.service.session.draft_kv = profile->choice.draft_kv;
  if (command.count("--tripwire") == 0 && profile->band) flags.server.tripwire = profile->band->low;
  fmt::print(stderr, "note: KV {}, tripwire {:.2f} by the profile of {} ({}); --no-profile leaves it out\n",
             flags.service.session.kv, flags.server.tripwire, profile->created_at, profile->path);
  return {};
}

void resolve(Flags& flags, const Engine& engine) {
  if (!flags.hosts.empty()) flags.server.hosts = flags.hosts;
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
  add_keys(flags.server);
}

int run(Flags flags, const CLI::App& command, const Context& context) {
  if (flags.list_devices) {
    print_devices(context);
    return kOk;
  }
  static Signals* const signals = new Signals;  // its thread has no end
  const auto engine = open_engine(flags.engine, context);
  if (!engine.ok()) return fail(engine.error());
  if (const Status applied = apply_profile(flags, **engine, command); !applied.ok()) {
    return fail(applied.error());
  }
  resolve(flags, **engine);
  auto service = (*engine)->new_service(flags.service);
  if (!service.ok()) return fail(service.error(), "kakeya-llm codec list shows the KV channels");
  serve::LimitedService limited(**service, flags.server.max_prompt_tokens);
  const auto ask = [&](dialog::DialogRequest request) {
    return dialog::ask(**engine, limited, std::move(request));
  };
  const auto server = serve::Server::start(**engine, limited, flags.server, ask);
  if (!server.ok()) return fail(server.error());
  signals->expect();
  mention_known_draft(flags.engine);
  print_ready(**server, flags.server, **service);
  signals->wait();
  fmt::print(stderr, "closing: running requests have {} s; a second signal ends at once\n", flags.grace_s);
  (*server)->drain();
  return kOk;
}

void add_model_flags(CLI::App* command, Flags& flags) {
  command
      ->add_option("--target,-m,--model", flags.engine.target,
                   "directory in Hugging Face layout, GGUF file, pulled model, or 'tiny', the embedded pair")
      ->capture_default_str();
  command->add_option(
      "--draft,--model-draft", flags.engine.draft,
      "DFlash draft: named as --target, or 'auto' for the published draft of the target; without it, "
      "plain decoding (-md works too)");
  command->add_option("--threads,-t", flags.engine.threads, "0 = every core this process may use")
      ->capture_default_str();
  add_tool_format(command, flags.engine);
  command->add_option("--alias,-a", flags.server.model_id,
                      "the model's id for clients; default its own name");
  command->add_flag("--no-profile", flags.no_profile, "leave out what 'tune' found for this model");
  SessionOptions& session = flags.service.session;
  command->add_option("--kv", session.kv, "KV channel of the target; 'codec list' shows them")
      ->capture_default_str();
  command->add_option("--draft-kv", session.draft_kv, "KV channel of the draft")->capture_default_str();
  command->add_option("--kv-allow", flags.server.kv_allowed, "channels that a request may name in kakeya.kv")
      ->delimiter(',');
  command->add_option("--draft-kv-allow", flags.server.draft_kv_allowed, "the same for kakeya.draft_kv")
      ->delimiter(',');
  command->add_option("--boundary", session.boundary, "first and last layers whose KV stays bf16")
      ->capture_default_str();
  command->add_option("--ctx,-c,--ctx-size", session.max_tokens,
                      "tokens of one slot, prompt and answer; 0 = the model's, at most 16384");
}

void add_load_flags(CLI::App* command, Flags& flags) {
  command
      ->add_option("--slots,--parallel", flags.service.slots, "requests that decode together (-np works too)")
      ->capture_default_str();
  command->add_option("--queue", flags.service.max_queue, "requests that may wait; more are answered 429")
      ->capture_default_str();
  command->add_option("--prefix-bytes", flags.service.prefix_bytes, "for prefixes kept beside the slots")
      ->capture_default_str();
  serve::Options& server = flags.server;
  command
      ->add_option("--timeout", flags.timeout_s,
                   "seconds of one request; what was made by then is sent; 0 = none")
      ->check(CLI::Range(0, 1 << 30));
  command->add_option("--grace", flags.grace_s, "seconds that running requests have after SIGTERM or SIGINT")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--max-body", server.max_body_bytes, "bytes of a request's body")
      ->capture_default_str();
  command->add_option("--max-prompt", server.max_prompt_tokens,
                      "tokens of a prompt; 0 = what fits the context");
  command->add_option("--max-connections", server.max_connections, "at once; more are answered 503")
      ->capture_default_str();
  command->add_option("--slot-save-path", server.slot_save_path,
                      "folder for POST /slots/ID?action=save and restore; without it they are refused");
  command->add_option("--tripwire", server.tripwire,
                      "report drafts whose acceptance length falls below this; 0 = off");
}

void add_access_flags(CLI::App* command, Flags& flags) {
  serve::Options& server = flags.server;
  command->add_option("--host", flags.hosts, "addresses to listen on; default 127.0.0.1 and ::1")
      ->delimiter(',');
  command->add_option("--port", server.port, "0 = any free one, which is printed")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command
      ->add_option("--api-key", server.api_keys,
                   "a key that clients must send; may be repeated (also KAKEYA_API_KEY, LLAMA_API_KEY)")
      ->delimiter(',');
  command->add_flag("--insecure-no-auth", server.insecure_no_auth,
                    "listen on other than loopback addresses without a key");
  command
      ->add_option("--allow-host", server.allow_hosts,
                   "names in the Host header besides loopback ones (loopback without a key); * = all")
      ->delimiter(',');
  command
      ->add_option("--cors-origin", server.cors_origins,
                   "origins of web pages that may ask, besides local ones and apps; * = all")
      ->delimiter(',');
  command->add_flag("--json-log", server.json_log, "one JSON object a request on stderr");
  command->add_flag("--quiet", flags.quiet, "no line for each request");
  command->add_flag("--list-devices", flags.list_devices, "print what can run models, and end");
}

}  // namespace

void add_serve(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = add_command(
      app, "serve", "Serve the OpenAI, Anthropic and Ollama APIs on this machine",
      "  kakeya-llm serve --target tiny --draft tiny\n"
      "  kakeya-llm serve --target ./Qwen3-8B --draft ./Qwen3-8B-DFlash-b16 --kv e8-q38 --slots 2\n"
      "  kakeya-llm serve --host 0.0.0.0 --api-key SECRET --alias qwen3-8b\n"
      "  curl http://127.0.0.1:8017/v1/models");
  add_model_flags(command, *flags);
  add_load_flags(command, *flags);
  add_access_flags(command, *flags);
  on_run(command, context, [flags, command, &context] { return run(*flags, *command, context); });
}

}  // namespace kakeya::cli
