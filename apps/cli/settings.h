// Flags from a configuration file and from the environment. The command line wins over the environment, the
// environment over the file, the file over the defaults. docs/howto/configure.md.
#pragma once
#include "cli/command.h"

namespace kakeya::cli {

// Adds --config, and KAKEYA_<FLAG> for every flag of every command. Call it when all commands are there.
void add_settings(CLI::App& app);

// For help texts, which would repeat every flag's name.
void hide_environment_names(CLI::App& app);

}  // namespace kakeya::cli
