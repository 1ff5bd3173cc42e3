// kakeya-llm bench acceptance: flags of the acceptance benchmark. What it does is in bench/acceptance.
#include <unistd.h>

#include <cstdlib>

#include "acceptance/command.h"
#include "cli/commands.h"
#include "cli/places.h"

namespace kakeya::cli {
namespace {

using acceptance::RunOptions;

struct AcceptanceFlags {
  RunOptions run;
  std::vector<std::string> margins;  // "e8-q4=10"
  bool json = false;
};

constexpr const char* kExamples =
    "  kakeya-llm bench acceptance --out-dir reports/tiny\n"
    "  kakeya-llm bench acceptance --dry-run --n-samples 3 --max-tokens 64 --out-dir reports/dry\n"
    "  kakeya-llm bench acceptance --target ~/Qwen3-8B --draft ~/Qwen3-8B-DFlash-b16 --out-dir reports/8b\n"
    "  kakeya-llm bench acceptance --out-dir reports/tiny --resume\n"
    "  kakeya-llm bench acceptance --channels e8-q10,q4_0,tq4 --margin q4_0=5 --margin tq4=5 --out-dir "
    "reports/opponents\n"
    "\n"
    "Exit codes: 0 every channel with a margin is non-inferior to bf16 (a dry run that worked is 0 too);\n"
    "1 some channel is worse, a check of the run on itself failed, or the work failed; 2 wrong usage;\n"
    "3 the sample cannot tell for some channel; 130 interrupted.\n"
    "\n"
    "Verdicts: drop of acceptance_rate against bf16 in percentage points, paired by prompt, bootstrap over\n"
    "prompts, 95 %. Margins declared beforehand: e8-q38 2, e8-q10 5; others only with --margin. The forced\n"
    "protocol decides where it is run, because both sides then follow the same text.";

std::string cache_dir() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg != '\0') return std::string(xdg) + "/kakeya/datasets";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? std::string(home) + "/.cache/kakeya/datasets" : "";
}

std::string data_dir() {
  const char* shared = std::getenv("KAKEYA_SHARED");
  return shared != nullptr && *shared != '\0' ? std::string(shared) + "/data" : "";
}

Status parse_margins(AcceptanceFlags& flags) {
  for (const std::string& text : flags.margins) {
    const std::size_t equals = text.find('=');
    char* end = nullptr;
    const double value = equals == std::string::npos ? 0 : std::strtod(text.c_str() + equals + 1, &end);
    if (equals == std::string::npos || equals + 1 == text.size() || *end != '\0') {
      return invalid_argument("--margin: found '" + text +
                              "', expected CHANNEL=POINTS, for example e8-q4=10");
    }
    flags.run.margins[text.substr(0, equals)] = value;
  }
  return {};
}

int run(AcceptanceFlags flags, const Context& context) {
  if (const Status status = parse_margins(flags); !status.ok()) return fail(status.error());
  RunOptions& o = flags.run;
  o.isa = context.isa;
  for (std::string* name : {&o.target, &o.draft}) {
    if (o.dry_run) break;  // opens no model
    if (const Status resolved = resolve_in_place(*name); !resolved.ok()) return fail(resolved.error());
  }
  if (o.data_dir.empty()) o.data_dir = data_dir();
  if (o.cache_dir.empty()) o.cache_dir = cache_dir();
  if (const char* token = std::getenv("HF_TOKEN")) o.hub_token = token;
  catch_interrupts();
  acceptance::CommandIo io;
  io.terminal = ::isatty(STDERR_FILENO) == 1;
  io.json = flags.json;
  return acceptance::run_bench_acceptance(o, io, [] { return interrupted(); });
}

void add_model_flags(CLI::App* c, RunOptions& o) {
  c->add_option("--target", o.target,
                "directory in Hugging Face layout, GGUF file, or 'tiny', the embedded pair")
      ->capture_default_str();
  c->add_option("--draft", o.draft, "DFlash draft of that target: a directory, or 'tiny'")
      ->capture_default_str();
  c->add_option("--channels", o.channels, "KV channels of the target; bf16 is added when it is missing")
      ->delimiter(',')
      ->capture_default_str();
  c->add_option("--draft-kv", o.draft_kv, "KV channel of the draft")->capture_default_str();
  c->add_option("--boundary", o.boundary, "first and last layers kept in bf16")->capture_default_str();
  c->add_option("--threads", o.threads, "0 = every core this process may use")->capture_default_str();
}

void add_protocol_flags(CLI::App* c, AcceptanceFlags& flags) {
  RunOptions& o = flags.run;
  c->add_option("--n-samples", o.n_samples, "prompts per data set, selected by --seed")
      ->capture_default_str();
  c->add_option("--max-tokens", o.max_tokens, "output tokens per prompt")->capture_default_str();
  c->add_option("--block-size", o.block_size,
                "tokens a draft fills, its anchor included; 0 = the draft's own")
      ->capture_default_str();
  c->add_option("--verify-width", o.verify_width, "rows the target verifies; 0 = the block size")
      ->capture_default_str();
  c->add_option("--temperature", o.temperature, "0 = greedy; above 0 only the free protocol")
      ->capture_default_str();
  c->add_option("--seed", o.seed, "selects prompts, samples tokens, draws bootstrap samples")
      ->capture_default_str();
  c->add_option("--protocol", o.protocol,
                "free: each channel writes its own text; forced: each follows the bf16 text; both")
      ->capture_default_str()
      ->each([&o](const std::string&) { o.protocol_named = true; });
  c->add_option("--anchors", o.anchors,
                "forced protocol: draft at bf16's cycle starts ('cycles') or everywhere ('all')")
      ->capture_default_str();
  c->add_option(
       "--prompt-style", o.prompt_style,
       "plain: question as one user turn, code continued raw; reference: the wording behind the published\n"
       "DFlash figures; auto: plain for the embedded pair, else reference")
      ->capture_default_str();
  c->add_option("--margin", flags.margins, "CHANNEL=POINTS a channel may lose; may be repeated");
  c->add_option("--resamples", o.resamples, "bootstrap resamples")->capture_default_str();
}

void add_data_flags(CLI::App* c, AcceptanceFlags& flags) {
  RunOptions& o = flags.run;
  c->add_option(
       "--datasets", o.datasets,
       "gsm8k, humaneval, gsm-mini, py-mini; when none is named and the published ones cannot be had, the\n"
       "embedded gsm-mini and py-mini take their place, and the report says so")
      ->delimiter(',')
      ->capture_default_str()
      ->each([&o](const std::string&) { o.datasets_named = true; });
  c->add_option("--data-dir", o.data_dir, "local data sets (default: KAKEYA_SHARED's data)");
  c->add_option("--cache-dir", o.cache_dir, "downloads (default: XDG_CACHE_HOME/kakeya/datasets)");
  c->add_option("--hub-url", o.hub_url, "base address of the rows API");
  c->add_flag("--offline", o.offline, "no network");
  c->add_flag("--allow-synthetic", o.allow_synthetic, "made-up problems when nothing else is there");
}

void add_run_flags(CLI::App* c, AcceptanceFlags& flags) {
  RunOptions& o = flags.run;
  c->add_option("--out-dir", o.out_dir, "results, FINDINGS.md and report.html")->required();
  c->add_flag("--resume", o.resume, "continue a run that was stopped or killed; same parameters only");
  c->add_flag("--overwrite", o.overwrite, "remove the results of an earlier run first");
  c->add_flag("--dry-run", o.dry_run, "mock engine, no model, nothing measured: tests the pipeline");
  c->add_flag("--json", flags.json, "summary as JSON on stdout");
}

}  // namespace

void add_bench_acceptance(CLI::App& app, Context& context) {
  CLI::App* command = add_command(
      bench_command(app), "acceptance",
      "does compressing the KV cache cost DFlash acceptance? schema b2-dflash-kakeya-v1", kExamples);
  auto flags = std::make_shared<AcceptanceFlags>();
  add_model_flags(command, flags->run);
  add_data_flags(command, *flags);
  add_protocol_flags(command, *flags);
  add_run_flags(command, *flags);
  on_run(command, context, [flags, &context] { return run(*flags, context); });
}

}  // namespace kakeya::cli
