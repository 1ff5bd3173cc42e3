// kakeya-llm bench speed: flags of the speed benchmark. What it does is in bench/speed.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/places.h"
#include "speed/interactive.h"
#include "speed/options.h"
#include "speed/runner.h"

namespace kakeya::cli {
namespace {

struct SpeedFlags {
  speed::Options run;
  // As given; several mentions of a flag are one list.
  std::vector<std::string> models, random, prompts, gens, prompt_gens, depths, rows, kv, threads;
  unsigned probe_mib = 0;
  double simulated_tokens = 0;
  CLI::Option* simulate = nullptr;
  bool no_warmup = false, interactive = false;
};

constexpr const char* kExamples =
    "  kakeya-llm bench speed\n"
    "  kakeya-llm bench speed -m Qwen3-8B-Q4_0.gguf -p 512 -n 128 -d 0,4096,16384 --kv bf16,e8-q10\n"
    "  kakeya-llm bench speed --random qwen3-8b:q4_0 -p 0 -n 0 --rows 1-32*2 -d 16384 -o json\n"
    "  kakeya-llm bench speed -m Qwen3-8B-Q4_0.gguf --draft Qwen3-8B-DFlash-b16 --rows 1,8,16\n"
    "  kakeya-llm bench speed --interactive -m Qwen3-8B-Q4_0.gguf --kv e8-q10 -t 2\n"
    "\n"
    "Flags of lists take numbers by commas and ranges: 1-4, 64-256+64, 1-32*2. 0 leaves a test out.\n"
    "How to read the columns: docs/howto/measure-speed.md.";

Status append_counts(const char* flag, const std::vector<std::string>& given, std::vector<std::size_t>& out) {
  if (given.empty()) return {};
  out.clear();
  for (const std::string& text : given) {
    KAKEYA_ASSIGN(const auto counts, speed::parse_counts(flag, text));
    out.insert(out.end(), counts.begin(), counts.end());
  }
  return {};
}

Status append_names(const char* flag, const std::vector<std::string>& given, std::vector<std::string>& out) {
  if (given.empty()) return {};
  out.clear();
  for (const std::string& text : given) {
    KAKEYA_ASSIGN(const auto names, speed::parse_names(flag, text));
    out.insert(out.end(), names.begin(), names.end());
  }
  return {};
}

Status resolve(SpeedFlags& flags) {
  speed::Options& o = flags.run;
  KAKEYA_TRY(append_names("-m", flags.models, o.models));
  std::vector<std::string> random;
  KAKEYA_TRY(append_names("--random", flags.random, random));
  for (const std::string& name : random) o.models.push_back("random:" + name);
  if (o.models.empty()) o.models = {"tiny"};
  for (std::string& name : o.models) KAKEYA_TRY(resolve_in_place(name));
  if (!o.draft.empty()) KAKEYA_TRY(resolve_in_place(o.draft));
  KAKEYA_TRY(append_counts("-p", flags.prompts, o.prompts));
  KAKEYA_TRY(append_counts("-n", flags.gens, o.gens));
  KAKEYA_TRY(append_counts("-d", flags.depths, o.depths));
  KAKEYA_TRY(append_counts("--rows", flags.rows, o.rows));
  KAKEYA_TRY(append_counts("-t", flags.threads, o.threads));
  KAKEYA_TRY(append_names("--kv", flags.kv, o.kv));
  for (const std::string& text : flags.prompt_gens) {
    KAKEYA_ASSIGN(const auto pairs, speed::parse_prompt_gens(text));
    o.prompt_gens.insert(o.prompt_gens.end(), pairs.begin(), pairs.end());
  }
  o.warmup = !flags.no_warmup;
  o.probe_bytes = std::uint64_t{flags.probe_mib} << 20;
  if (flags.simulate->count() > 0) o.simulated_tokens = flags.simulated_tokens;
  return {};
}

int run(SpeedFlags flags, const Context& context) {
  flags.run.isa = context.isa;
  if (const Status status = resolve(flags); !status.ok()) return fail(status.error());
  if (flags.interactive) {
    const Status status = speed::run_interactive(flags.run, std::cin, std::cout);
    return status.ok() ? kOk : fail(status.error());
  }
  catch_interrupts();
  const auto writer = speed::make_writer(flags.run.format, std::cout);
  const Status status = speed::run_speed(flags.run, *writer, [] { return interrupted(); });
  writer->end();
  return status.ok() ? kOk : fail(status.error());
}

void add_test_flags(CLI::App* c, SpeedFlags& flags) {
  c->add_option("-p,--n-prompt", flags.prompts, "tokens of a prompt [512]");
  c->add_option("-n,--n-gen", flags.gens, "tokens to generate, one by one [128]");
  c->add_option("--prompt-gen", flags.prompt_gens,
                "or -pg: a prompt and the tokens made after it in one test: 512,128");
  c->add_option("-d,--n-depth", flags.depths, "tokens already in the KV cache [0]");
  c->add_option(
      "--rows", flags.rows,
      "cost curve: one pass of so many rows with all logits, as a verifier runs it [1,2,4,8,16,32]");
  c->add_option("-r,--repetitions", flags.run.repetitions, "measured runs of every test")
      ->capture_default_str();
  c->add_option("--delay", flags.run.delay_s, "seconds to wait before every test")->capture_default_str();
  c->add_flag("--no-warmup", flags.no_warmup, "no unmeasured run before the measured ones");
  flags.simulate = c->add_option("--simulate-acceptance", flags.simulated_tokens,
                                 "also run real draft and verify passes in which chance, not the target, "
                                 "decides what stands: X tokens a\n"
                                 "cycle on average. Such rows are labelled SIMULATED");
}

void add_model_flags(CLI::App* c, SpeedFlags& flags) {
  c->add_option("-m,--model", flags.models,
                "directory in Hugging Face layout, GGUF file, or 'tiny', the embedded pair [tiny]");
  c->add_option("--random", flags.random,
                "NAME[:TYPE]: a model of true shape with RANDOM weights, for example qwen3-8b:q4_0");
  c->add_option("--draft", flags.run.draft, "DFlash draft; its parts are timed too");
  c->add_option("--kv", flags.kv, "KV channels of the target [bf16]");
  c->add_option("--draft-kv", flags.run.draft_kv, "KV channel of the draft")->capture_default_str();
  c->add_option("--block-size", flags.run.block_size,
                "tokens the draft fills, its anchor included; 0 = its own")
      ->capture_default_str();
  c->add_option("-t,--threads", flags.threads, "0 = every core this process may use [0]");
}

}  // namespace

void add_bench_speed(CLI::App& app, Context& context) {
  CLI::App* command = add_command(bench_command(app), "speed",
                                  "how fast are prompts, decoding, verification and drafts? llama-bench's "
                                  "flags and fields",
                                  kExamples);
  auto flags = std::make_shared<SpeedFlags>();
  add_model_flags(command, *flags);
  add_test_flags(command, *flags);
  command->add_option("-o,--output", flags->run.format, "md, csv, json or jsonl")
      ->capture_default_str()
      ->check(CLI::IsMember({"md", "csv", "json", "jsonl"}));
  command
      ->add_option("--probe-mib", flags->probe_mib,
                   "buffer of the memory probe; 0 = up to 1024, at most a quarter of what is free")
      ->capture_default_str();
  command->add_flag("--interactive", flags->interactive,
                    "read one JSON request a line from stdin, answer each with a line");
  on_run(command, context, [flags, &context] { return run(*flags, context); });
}

}  // namespace kakeya::cli
