// Where a value that a flag does not take came from: CLI11's messages name the flag alone.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/settings.h"

namespace kakeya::cli {
namespace {

// The flag that a message is about: "--threads: ..." or "Could not convert: --threads = abc".
std::string flag_in(const std::string& message) {
  const std::size_t begin = message.find("--");
  if (begin == std::string::npos) return {};
  return message.substr(begin, message.find_first_of(" :=,", begin) - begin);
}

// What is wrong, without the flag's name.
std::string words_of(const CLI::Option& option, const std::string& message) {
  const std::string begin = option.get_name() + ": ";
  if (message.rfind(begin, 0) == 0) return message.substr(begin.size());
  // "Could not convert: --threads = many": of whichever command the line was read for.
  const std::size_t equals = message.find(" = ");
  const std::string found = equals == std::string::npos ? fmt::format("{}", fmt::join(option.results(), ","))
                                                        : message.substr(equals + 3);
  const std::string& type = option.get_type_name();
  std::string expected = "another value";
  if (type.rfind("INT", 0) == 0 || type.rfind("UINT", 0) == 0) expected = "a whole number";
  if (type.rfind("FLOAT", 0) == 0) expected = "a number";
  if (option.get_items_expected_max() == 0) expected = "true or false";
  return fmt::format("found '{}', expected {}", found, expected);
}

// The first line that sets `name`, or 0.
std::size_t line_of(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    line.erase(
        std::remove_if(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '"'; }),
        line.end());
    std::replace(line.begin(), line.end(), '_', '-');
    if (line.rfind(name + "=", 0) == 0) return number;
  }
  return 0;
}

// Of the command that runs, else of any: a line without a section is read for each.
const CLI::Option* find_flag(const CLI::App& app, const std::string& flag, bool any = false) {
  if (const CLI::Option* found = app.get_option_no_throw(flag)) return found;
  const auto parsed = app.get_subcommands();
  std::vector<const CLI::App*> commands(parsed.begin(), parsed.end());
  if (any) commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : commands) {
    if (const CLI::Option* found = find_flag(*command, flag, any)) return found;
  }
  return nullptr;
}

}  // namespace

bool on_command_line(const CLI::Option& option, const std::vector<std::string>& arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    const std::string name = argument.substr(0, argument.find('='));
    return name.size() > 1 && name[0] == '-' && option.check_name(name);
  });
}

std::optional<std::string> settings_problem(const CLI::App& app, const CLI::ParseError& error,
                                            const std::vector<std::string>& arguments) {
  const CLI::Option* config = app.get_config_ptr();
  const std::string path = config != nullptr ? config->as<std::string>() : "";
  std::error_code ignored;
  if (error.get_name() == "FileError" && std::filesystem::is_directory(path, ignored)) {
    return fmt::format("configuration file {}: not a regular file: found a directory", path);
  }
  const std::string message = error.what();
  const std::string flag = flag_in(message);
  const CLI::Option* option = flag.empty() ? nullptr : find_flag(app, flag);
  if (option == nullptr && !flag.empty()) option = find_flag(app, flag, true);
  if (option == nullptr || on_command_line(*option, arguments)) return std::nullopt;
  const std::string words = words_of(*option, message);
  const std::string& variable = option->get_envname();
  const char* value = variable.empty() ? nullptr : std::getenv(variable.c_str());
  if (value != nullptr && *value != '\0') return fmt::format("{}: {}", variable, words);
  const std::size_t line = path.empty() ? 0 : line_of(path, flag.substr(2));
  if (line == 0) return std::nullopt;
  return fmt::format("configuration file {}, line {}: {}: {}", path, line, flag.substr(2), words);
}

}  // namespace kakeya::cli
