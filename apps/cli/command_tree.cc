#include "cli/command_tree.h"

#include <algorithm>
#include <regex>

namespace kakeya::cli {
namespace {

// Commands, and the nameless groups of flags of which one is to be given.
std::vector<CLI::App*> below(CLI::App& app, bool named) {
  return app.get_subcommands([named](const CLI::App* other) { return !other->get_name().empty() == named; });
}

// CLI11 keeps a set of words only as "{auto,fixed,off}" in the type's name.
std::vector<std::string> choices_in(const std::string& type) {
  static const std::regex kSet(R"(\{([^}]*)\})");
  std::smatch found;
  std::vector<std::string> out;
  if (!std::regex_search(type, found, kSet)) return out;
  const std::string words = found[1].str();
  for (std::size_t at = 0; at <= words.size();) {
    const std::size_t comma = std::min(words.find(',', at), words.size());
    if (comma > at) out.push_back(words.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

FlagEntry entry_of(const CLI::Option& option) {
  FlagEntry out;
  for (const std::string& name : option.get_snames()) out.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.names.push_back("--" + name);
  out.positional = out.names.empty();
  if (out.positional) out.names.push_back(option.get_name(true));
  out.takes_value = option.get_items_expected_max() > 0;
  out.help = option.get_description();
  out.default_text = option.get_default_str();
  out.value = option.get_type_name();
  out.choices = choices_in(out.value);
  if (const auto brace = out.value.find_first_of(":{ "); brace != std::string::npos) out.value.resize(brace);
  return out;
}

void add_flags(CLI::App& app, CommandEntry& out) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) out.flags.push_back(entry_of(*option));  // the empty group is hidden
  }
  for (CLI::App* group : below(app, false)) add_flags(*group, out);
}

void add_entry(CLI::App& app, const std::vector<std::string>& path, std::vector<CommandEntry>& out) {
  CommandEntry entry;
  entry.path = path;
  entry.help = app.get_description();
  entry.footer = app.get_footer();
  add_flags(app, entry);
  const auto commands = below(app, true);
  for (const CLI::App* command : commands) entry.below.push_back(command->get_name());
  out.push_back(std::move(entry));
  for (CLI::App* command : commands) {
    std::vector<std::string> longer = path;
    longer.push_back(command->get_name());
    add_entry(*command, longer, out);
  }
}

}  // namespace

std::vector<CommandEntry> command_tree(CLI::App& app) {
  std::vector<CommandEntry> out;
  add_entry(app, {}, out);
  return out;
}

}  // namespace kakeya::cli
