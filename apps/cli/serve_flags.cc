#include "cli/serve_flags.h"

#include <CLI/CLI.hpp>

#include "cli/model_setup.h"
#include "cli/number_flags.h"

namespace kakeya::cli {
namespace {

void add_model_flags(CLI::App* command, ServeFlags& flags) {
  command->add_option("model", flags.model_argument,
                      "'tiny', a short name, ORG/REPO, a GGUF file or a directory; as --target");
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
  command
      ->add_option("--alias,-a", flags.names,
                   "names that clients may use, the first one is the model's id; default its own name")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--tags", flags.server.tags, "words that /v1/models shows beside the name")
      ->delimiter(',')
      ->allow_extra_args(false);
  auto* given = command->add_option("--chat-template", flags.engine.chat_template,
                                    "qwen3, chatml or llama3; without it, by the tokenizer's special tokens");
  command->add_option("--chat-template-file", flags.template_file, "a file with that name or template")
      ->check(CLI::ExistingFile)
      ->excludes(given);
  add_profile_flags(command, flags.profile, flags.no_profile);
  command
      ->add_option(
          "--speculation", flags.speculation,
          "drafting of requests that do not name it: auto, fixed or off. Default: the profile's, else auto")
      ->check(CLI::IsMember({"auto", "fixed", "off"}));
  command->add_option("--verify-width", flags.verify_width,
                      "rows the target verifies at once, with --speculation fixed; 0 = the draft's block");
  SessionOptions& session = flags.service.session;
  command->add_option("--kv", session.kv, "KV channel of the target; 'codec list' shows them")
      ->capture_default_str();
  command->add_option("--draft-kv", session.draft_kv, "KV channel of the draft")->capture_default_str();
  command->add_option("--kv-allow", flags.server.kv_allowed, "channels that a request may name in kakeya.kv")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--draft-kv-allow", flags.server.draft_kv_allowed, "the same for kakeya.draft_kv")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--boundary", session.boundary, "first and last layers whose KV stays bf16")
      ->capture_default_str();
  command->add_option("--ctx,-c,--ctx-size", session.max_tokens,
                      "tokens of one slot, prompt and answer; 0 = the model's, at most 16384");
}

void add_load_flags(CLI::App* command, ServeFlags& flags) {
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

void add_request_flags(CLI::App* command, ServeFlags& flags) {
  serve::RequestDefaults& defaults = flags.server.defaults;
  command->add_option("--temperature,--temp", defaults.temperature, "temperature of requests that name none")
      ->check(number_between(0, 1000));
  command->add_option("--seed,-s", defaults.seed, "seed of requests that name none");
  command
      ->add_option("--n-predict,-n", defaults.max_tokens,
                   "most tokens of an answer, whatever a request asks for")
      ->check(CLI::Range(1, 1 << 30));
  command->add_flag("--no-slots", flags.no_slots, "GET /slots answers 501");
  command->add_flag("--no-metrics", flags.no_metrics, "GET /metrics answers 501");
}

void add_access_flags(CLI::App* command, ServeFlags& flags) {
  serve::Options& server = flags.server;
  command->add_option("--host", flags.hosts, "addresses to listen on; default 127.0.0.1 and ::1")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--port", server.port, "0 = any free one, which is printed")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command
      ->add_option("--api-key", server.api_keys,
                   "a key that clients must send; may be repeated (also KAKEYA_API_KEY, LLAMA_API_KEY)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_flag("--insecure-no-auth", server.insecure_no_auth,
                    "listen on other than loopback addresses without a key");
  command
      ->add_option("--allow-host", server.allow_hosts,
                   "names in the Host header besides loopback ones (loopback without a key); * = all")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      ->add_option("--cors-origin", server.cors_origins,
                   "origins of web pages that may ask, besides local ones and apps; * = all")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_flag("--json-log", server.json_log, "one JSON object a request on stderr");
  command->add_flag("--quiet", flags.quiet, "no line for each request");
  command->add_flag("--list-devices", flags.list_devices, "print what can run models, and end");
}

}  // namespace

void add_serve_flags(CLI::App* command, ServeFlags& flags) {
  add_model_flags(command, flags);
  add_load_flags(command, flags);
  add_request_flags(command, flags);
  add_access_flags(command, flags);
}

}  // namespace kakeya::cli
