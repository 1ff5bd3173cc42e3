// kakeya-llm: registers the commands and turns their outcome into an exit code.
#include <fmt/format.h>
#include <kakeya/version.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <system_error>

#include "cli/commands.h"
#include "cli/number_flags.h"
#include "cli/settings.h"

namespace {

using kakeya::cli::Context;

std::string version_text() {
  std::string isas;
  for (const std::string& isa : kakeya::available_isas()) isas += (isas.empty() ? "" : ", ") + isa;
  return fmt::format("kakeya-llm {} (commit {}, {}; CPU variants here: {})", kakeya::version(),
                     kakeya::build_commit(), kakeya::build_type(), isas);
}

// Empty when `isa` can be used.
std::string isa_problem(const std::string& isa) {
  const auto known = kakeya::available_isas();
  if (isa.empty() || std::find(known.begin(), known.end(), isa) != known.end()) return {};
  return fmt::format("--isa (or KAKEYA_ISA): found '{}', expected one of: {}", isa, fmt::join(known, ", "));
}

// llama-bench's -pg and llama-server's -md and -np are no flags that CLI11 can read.
void spell_out_short_flags(int argc, char** argv) {
  static char prompt_gen[] = "--prompt-gen", draft[] = "--model-draft", slots[] = "--parallel";
  const bool speed = argc > 2 && std::string(argv[1]) == "bench" && std::string(argv[2]) == "speed";
  const bool serve = argc > 2 && std::string(argv[1]) == "serve";
  for (int i = 2; i < argc; ++i) {
    const std::string flag = argv[i];
    if (speed && flag == "-pg") argv[i] = prompt_gen;
    if (serve && flag == "-md") argv[i] = draft;
    if (serve && flag == "-np") argv[i] = slots;
  }
}

bool is_command(CLI::App& app, const std::string& name) {
  const auto commands = app.get_subcommands({});
  return std::any_of(commands.begin(), commands.end(),
                     [&](const CLI::App* command) { return command->get_name() == name; });
}

void add_global_flags(CLI::App& app, Context& context) {
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  app.add_option("--isa", context.isa,
                 "CPU variant to run; the best one is the default. --version lists those usable here")
      ->envname("KAKEYA_ISA")
      ->check(isa_problem);
  app.footer(
      "Exit codes: 0 success, 1 the work failed, 2 wrong usage, 130 interrupted.\n"
      "Every command has --help with examples. Flags may also come from KAKEYA_<FLAG> or a configuration "
      "file.");
}

// What was printed may still be in a buffer: a success that nobody can read is none.
int flushed(int exit_code) {
  std::cout.flush();
  if (std::cout && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  if (exit_code == kakeya::cli::kOk) std::fputs("error: stdout: cannot write\n", stderr);
  return exit_code == kakeya::cli::kOk ? kakeya::cli::kFailed : exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace kakeya::cli;
  CLI::App app("Local LLM inference with DFlash drafting and an E8 lattice KV cache", "kakeya-llm");
  Context context;
  add_global_flags(app, context);
  add_generate(app, context);
  add_tokenize(app, context);
  add_detokenize(app, context);
  add_render(app, context);
  add_logits(app, context);
  add_perplexity(app, context);
  add_codec(app, context);
  add_quantize(app, context);
  add_serve(app, context);
  add_bench_acceptance(app, context);
  add_bench_speed(app, context);
  add_pull(app, context);
  add_list_models(app, context);
  add_rm(app, context);
  add_run(app, context);
  add_chat(app, context);
  add_inspect(app, context);
  add_doctor(app, context);
  add_tune(app, context);
  add_completion(app, context);
  add_man(app, context);
  add_settings(app);
  check_numbers(app);
  spell_out_short_flags(argc, argv);
  context.arguments.assign(argv + 1, argv + argc);
  try {
    app.parse(argc, argv);
  } catch (const std::system_error& error) {  // {fmt} reports so that stdout or stderr cannot be written
    std::fputs(fmt::format("error: output: {}\n", error.what()).c_str(), stderr);
    return kFailed;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      hide_environment_names(app);
      return flushed(app.exit(error));
    }
    if (argc > 1 && argv[1][0] != '-' && !is_command(app, argv[1])) {
      fmt::print(stderr, "error: '{}' is not a command\nkakeya-llm --help lists the commands\n", argv[1]);
      return kUsage;
    }
    if (const auto problem = settings_problem(app, error, context.arguments)) {
      fmt::print(stderr, "error: {}\n", *problem);
      return kUsage;
    }
    fmt::print(stderr, "error: {}\nkakeya-llm --help, or kakeya-llm COMMAND --help, shows what is expected\n",
               error.what());
    return kUsage;
  }
  return flushed(context.exit_code);
}
