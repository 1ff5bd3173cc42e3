// kakeya-llm generate: one prompt, with or without a draft.
#include <fmt/format.h>
#include <kakeya/session.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/session_json.h"

namespace kakeya::cli {
namespace {

constexpr int kDefaultTokens = 256;
constexpr std::size_t kShownChanges = 8;  // of the policy, in the summary; --json has them all

struct GenerateFlags {
  EngineFlags engine;
  SessionOptions session;
  GenerateOptions generate;
  std::string prompt, prompt_ids, chat;
  std::string accept_rule = "target-sample";
  std::string speculation;  // empty = not given
  bool has_chat = false;
  int max_tokens = 0;  // 0 = not given
  bool thinking = false, json = false;
};

Result<std::vector<Token>> prompt_tokens(const Engine& engine, const GenerateFlags& flags) {
  if (!flags.prompt_ids.empty()) return read_ids(flags.prompt_ids);
  if (!flags.has_chat) return engine.encode(flags.prompt, true);
  ChatRequest request;
  request.messages.push_back({"user", flags.chat, {}, {}});
  request.enable_thinking = flags.thinking;
  KAKEYA_ASSIGN(const std::string text, engine.render_chat(request));
  return engine.encode(text, true);
}

// What fits, when the user did not say how many.
int tokens_to_make(const GenerateFlags& flags, const Engine& engine, std::size_t prompt) {
  if (flags.max_tokens != 0) return flags.max_tokens;
  const std::size_t context = engine.target().max_position_embeddings;
  const std::size_t room = prompt < context ? context - prompt : 1;
  return static_cast<int>(std::min<std::size_t>(room, kDefaultTokens));
}

void print_summary(const Generation& out, const KvLedger& kv) {
  const double seconds = out.timings.decode_ms / 1000;
  const auto decoded = static_cast<double>(out.ids.size()) - 1;
  fmt::print(stderr,
             "\n[{} tokens, {}; first after {:.0f} ms, then {:.1f} tokens/s; KV {}: {:.0f} bits a vector",
             out.ids.size(), to_string(out.finish), out.timings.ttft_ms,
             seconds > 0 ? decoded / seconds : 0.0, kv.channel, kv.bits_allocated);
  if (!out.cycles.empty()) {
    double sum = 0;
    for (const Cycle& cycle : out.cycles) sum += cycle.length();
    fmt::print(stderr, "; {} verify passes, {:.2f} tokens a pass", out.target_forwards,
               sum / static_cast<double>(out.cycles.size()));
  }
  fmt::print(stderr, "]\n");
  if (out.speculation != Speculation::kAuto || out.cycles.empty()) return;
  const PolicyReport& policy = out.policy;
  fmt::print(stderr, "[speculation auto: {} cycles with drafts, {} plain; {:.0f} ms {} of {:.0f} ms plainly",
             policy.speculative_cycles, policy.plain_cycles, std::abs(policy.gained_ms),
             policy.gained_ms < 0 ? "lost" : "gained", policy.plain_ms);
  const std::size_t shown = std::min(policy.changes.size(), kShownChanges);
  for (std::size_t i = 0; i < shown; ++i) {
    const ModeChange& change = policy.changes[i];
    fmt::print(stderr, "{} token {}: {} ({})", i == 0 ? "; width from" : ",", change.token, change.to_width,
               to_string(change.reason));
  }
  if (shown < policy.changes.size()) {
    fmt::print(stderr, ", and {} more changes", policy.changes.size() - shown);
  }
  fmt::print(stderr, "]\n");
}

// Errors: kInvalidArgument when the flags contradict each other.
Status apply_speculation(GenerateFlags& flags) {
  GenerateOptions& options = flags.generate;
  const bool width_given = options.block_size != 0 || options.verify_width != 0;
  if (flags.engine.draft.empty() &&
      (width_given || flags.speculation == "auto" || flags.speculation == "fixed")) {
    return invalid_argument(
        "--block-size, --verify-width and --speculation are about a draft, and there is none; add --draft "
        "DIRECTORY, or --draft tiny with the embedded pair");
  }
  if (width_given && flags.speculation == "auto") {
    return invalid_argument(
        "--speculation auto chooses the width itself, expected no --block-size and no --verify-width; "
        "--speculation fixed takes them");
  }
  if (flags.speculation == "fixed") options.speculation = Speculation::kFixed;
  if (flags.speculation == "off") options.speculation = Speculation::kOff;
  return {};
}

Result<Generation> run_session(Session& session, const std::vector<Token>& prompt,
                               const GenerateFlags& flags) {
  const auto stream = [&](std::string_view text, std::span<const Token>) {
    if (!flags.json) {
      fmt::print("{}", text);
      std::fflush(stdout);
    }
    return !interrupted();
  };
  return session.generate(prompt, flags.generate, stream);
}

int run(GenerateFlags flags, const Context& context) {
  flags.generate.accept_rule =
      flags.accept_rule == "rejection" ? AcceptRule::kRejection : AcceptRule::kTargetSample;
  if (const Status applied = apply_speculation(flags); !applied.ok()) return fail(applied.error());
  const auto engine = open_engine(flags.engine, context);
  if (!engine.ok()) return fail(engine.error());
  mention_known_draft(flags.engine);
  const auto prompt = prompt_tokens(**engine, flags);
  if (!prompt.ok()) return fail(prompt.error());
  flags.generate.max_tokens = tokens_to_make(flags, **engine, prompt->size());
  const auto session = (*engine)->new_session(flags.session);
  if (!session.ok()) return fail(session.error(), channel_step(flags.session, **engine));
  catch_interrupts();
  const auto out = run_session(**session, *prompt, flags);
  if (!out.ok()) return fail(out.error());
  const MemoryLedger ledger = (*session)->ledger();
  if (flags.json) {
    print_json(generation_json(**engine, *prompt, *out, ledger));
  } else {
    print_summary(*out, ledger.target);
  }
  return out->finish == FinishReason::kCancelled ? kInterruptedCode : kOk;
}

void add_prompt_flags(CLI::App* command, GenerateFlags& flags) {
  auto* prompt = command->add_option_group("prompt", "exactly one of");
  prompt->add_option("--prompt", flags.prompt,
                     "text to continue, taken as it is (special tokens are recognised)");
  prompt->add_option("--prompt-ids", flags.prompt_ids,
                     "token ids: 1,2,3 or a file with such a list or a JSON array");
  prompt->add_option("--chat", flags.chat, "one user turn, rendered with the model's chat template")
      ->each([&flags](const std::string&) { flags.has_chat = true; });
  prompt->require_option(1);
  command->add_flag("--thinking", flags.thinking,
                    "with --chat: let the model think first (off by default: the published "
                    "Qwen3 drafts are trained without it)");
}

void add_sampling_flags(CLI::App* command, GenerateFlags& flags) {
  SamplingOptions& sampling = flags.generate.sampling;
  command->add_option("--temperature", sampling.temperature, "0 = greedy")->capture_default_str();
  command->add_option("--top-k", sampling.top_k, "0 = off")->capture_default_str();
  command->add_option("--top-p", sampling.top_p, "1 = off")->capture_default_str();
  command->add_option("--min-p", sampling.min_p, "0 = off")->capture_default_str();
  command->add_option("--seed", sampling.seed, "of the sampling")->capture_default_str();
  command->add_option("--accept-rule", flags.accept_rule, "what makes a draft stand at temperature > 0")
      ->check(CLI::IsMember({"target-sample", "rejection"}))
      ->capture_default_str();
}

}  // namespace

void add_generate(CLI::App& app, Context& context) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command = add_command(
      app, "generate", "Continue a prompt or answer one chat turn",
      "  kakeya-llm generate --target tiny --draft tiny --chat \"Tom has 3 bags of 4 apples. How many "
      "apples?\"\n"
      "  kakeya-llm generate --target tiny --draft tiny --kv e8-q10 --prompt-ids 4065,317 -n 32 --json\n"
      "  kakeya-llm generate --target Qwen/Qwen3-8B --draft auto --kv e8-q38 --chat \"Why is "
      "the sky blue?\"");
  add_engine_flags(command, flags->engine);
  add_prompt_flags(command, *flags);
  command
      ->add_option("-n,--max-tokens", flags->max_tokens, "tokens to make at most (default 256, or what fits)")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()));
  command->add_option("--kv", flags->session.kv, "KV channel of the target; 'codec list' shows them")
      ->capture_default_str();
  command->add_option("--draft-kv", flags->session.draft_kv, "KV channel of the draft")
      ->capture_default_str();
  command->add_option("--boundary", flags->session.boundary, "first and last layers whose KV stays bf16")
      ->capture_default_str();
  command->add_option("--block-size", flags->generate.block_size,
                      "positions the draft fills, anchor included; 0 = its own");
  command->add_option("--verify-width", flags->generate.verify_width,
                      "rows the target verifies, anchor included, at most the block size; 0 = all");
  command
      ->add_option(
          "--speculation", flags->speculation,
          "auto: verify width chosen from measured times and acceptance, plain decoding where drafts do "
          "not pay (the default); fixed: --block-size and --verify-width in every cycle (the default when "
          "one is given); off: no drafts. The text is the same")
      ->check(CLI::IsMember({"auto", "fixed", "off"}));
  add_sampling_flags(command, *flags);
  command->add_flag("--json", flags->json, "one JSON object instead of text");
  on_run(command, context, [flags, &context] { return run(*flags, context); });
}

}  // namespace kakeya::cli
