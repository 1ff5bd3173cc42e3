// Flags from a configuration file and from the environment. The command line wins over the environment, the
// environment over the file, the file over the defaults. docs/howto/configure.md.
#pragma once
#include <optional>

#include "cli/command.h"

namespace kakeya::cli {

// Adds --config, and KAKEYA_<FLAG> for every flag of every command. Call it when all commands are there.
void add_settings(CLI::App& app);

// Whether a flag is among the arguments, under any of its names; else its value came from elsewhere.
bool on_command_line(const CLI::Option& option, const std::vector<std::string>& arguments);

// The message about a value from a file or a variable that a flag does not take, naming the line or the
// variable; nothing when the command line is to blame, or no flag is.
std::optional<std::string> settings_problem(const CLI::App& app, const CLI::ParseError& error,
                                            const std::vector<std::string>& arguments);

// For help texts, which would repeat every flag's name.
void hide_environment_names(CLI::App& app);

}  // namespace kakeya::cli
