// The commands and flags as CLI11 holds them, for completions and the man page: made from the parser itself,
// so they cannot fall behind.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace kakeya::cli {

struct FlagEntry {
  std::vector<std::string> names;  // "-n", "--max-tokens"; of a positional its name alone
  bool positional = false;
  bool takes_value = false;
  std::string value, help, default_text;
  std::vector<std::string> choices;  // of a set of words
};

struct CommandEntry {
  std::vector<std::string> path;  // {"bench", "acceptance"}; empty for the program
  std::string help, footer;
  std::vector<FlagEntry> flags;
  std::vector<std::string> below;  // names of its commands
};

// The program first, then every command in the order of --help, those of `bench` after it.
std::vector<CommandEntry> command_tree(CLI::App& app);

}  // namespace kakeya::cli
