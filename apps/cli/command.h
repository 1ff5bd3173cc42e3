// What every command shares: exit codes, error output, flags of an engine, interruption.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/result.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::cli {

enum ExitCode : int {
  kOk = 0,
  kFailed = 1,            // the work failed
  kUsage = 2,             // wrong flags or values
  kInterruptedCode = 130  // Ctrl-C
};

// Lives in main() for the whole run; commands write their exit code here.
struct Context {
  std::string isa;                     // --isa or KAKEYA_ISA; empty = the best one
  std::vector<std::string> arguments;  // of the command line, without the program's name
  int exit_code = kOk;
};

// Prints "error: ..." (and the next step, when there is one) on stderr. Wrong values are kUsage, a
// cancelled run is kInterruptedCode, everything else is kFailed.
int fail(const Error& error, std::string_view next_step = {});

// A subcommand whose callback stores the exit code of `run`. `examples` closes its help text.
CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& what,
                      const std::string& examples);
// The `bench` command that measuring commands stand below; made when it is first asked for.
CLI::App& bench_command(CLI::App& app);
template <class F>
void on_run(CLI::App* command, Context& context, F run) {
  command->callback([&context, run] { context.exit_code = run(); });
}

// Flags of the commands that open models.
struct EngineFlags {
  std::string target = "tiny", draft;
  int threads = 0;
  std::string chat_template;  // as EngineOptions
  std::string tool_format = "auto";
};
void add_engine_flags(CLI::App* command, EngineFlags& flags);
// --tool-format, of the commands that let models call tools.
void add_tool_format(CLI::App* command, EngineFlags& flags);
// Names are resolved: paths, 'tiny', pulled models by id or short name; for the draft also 'auto', the
// published draft of that target. Errors: kNotFound with the command that pulls a model, kInvalidArgument (no
// draft is known), and those of Engine::open.
Result<std::unique_ptr<Engine>> open_engine(const EngineFlags& flags, const Context& context);
// The name of the published draft of a target. Errors: kInvalidArgument when none is known.
Result<std::string> known_draft(const std::string& target);
// On a terminal, a line about the published draft of a target that is opened without one.
void mention_known_draft(const EngineFlags& flags);

// One line of ASCII JSON on stdout: no reader takes a U+2028 in a text for a line's end. Invalid UTF-8
// becomes U+FFFD.
void print_json(const nlohmann::ordered_json& value);

// "1,2,3", or a file that holds such a list or a JSON array. Errors name what was given and the place.
Result<std::vector<Token>> read_ids(const std::string& list_or_file);

// From here on the first Ctrl-C sets interrupted(), the second one ends the process.
void catch_interrupts();
bool interrupted();
// interrupted() is false again, and the next Ctrl-C sets it. A read that waits ends with EINTR.
void rearm_interrupts();

}  // namespace kakeya::cli
