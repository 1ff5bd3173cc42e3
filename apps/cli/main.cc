// kakeya-llm: registers the commands and turns their outcome into an exit code.
#include <fmt/format.h>
#include <kakeya/version.h>

#include <algorithm>
#include <array>

#include "cli/commands.h"

namespace {

using kakeya::cli::Context;

// Names kept for commands to come, so that nothing else takes them.
std::string reserved_command(int argc, char** argv) {
  constexpr std::array kReserved = {"run", "chat", "serve", "pull", "list", "inspect", "doctor", "tune"};
  if (argc < 2) return {};
  const std::string first = argv[1];
  if (std::find(kReserved.begin(), kReserved.end(), first) != kReserved.end()) return first;
  if (first == "bench" && argc > 2 && std::string(argv[2]) == "speed") return "bench speed";
  return {};
}

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

void add_global_flags(CLI::App& app, Context& context) {
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  app.add_option("--isa", context.isa,
                 "CPU variant to run; the best one is the default. --version lists those usable here")
      ->envname("KAKEYA_ISA")
      ->check(isa_problem);
  app.footer(
      "Exit codes: 0 success, 1 the work failed, 2 wrong usage, 130 interrupted.\n"
      "Every command has --help with examples.");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace kakeya::cli;
  if (const std::string name = reserved_command(argc, argv); !name.empty()) {
    fmt::print(stderr, "error: '{}' is not available yet\nkakeya-llm --help lists the commands that are\n",
               name);
    return kUsage;
  }
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
  add_bench_acceptance(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    fmt::print(stderr, "error: {}\nkakeya-llm --help, or kakeya-llm COMMAND --help, shows what is expected\n",
               error.what());
    return kUsage;
  }
  return context.exit_code;
}
