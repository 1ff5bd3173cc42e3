#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <sstream>

namespace kakeya::cli {
namespace {

// What overwrites or removes is asked for where it happens.
constexpr std::array kCommandLineOnly = {"help", "version", "config", "yes", "force", "overwrite"};

std::string environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

// "KAKEYA_DRAFT_KV" for "draft-kv".
std::string variable_of(const std::string& flag) {
  std::string out = "KAKEYA_";
  for (const char c : flag)
    out += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

// The long name of a flag that a file or a variable may set; empty for others.
std::string setting_name(const CLI::Option& option) {
  if (option.get_lnames().empty()) return {};
  const std::string& name = option.get_lnames().front();
  const bool kept =
      std::find(kCommandLineOnly.begin(), kCommandLineOnly.end(), name) == kCommandLineOnly.end();
  return kept ? name : std::string();
}

// Commands below `app`, not the nameless groups of flags of which one is to be given.
std::vector<CLI::App*> commands_of(CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_name().empty(); });
}

bool has_setting(CLI::App& app, const std::string& name) {
  const auto options = app.get_options();
  return std::any_of(options.begin(), options.end(),
                     [&](const CLI::Option* option) { return setting_name(*option) == name; });
}

class SettingsFile : public CLI::ConfigTOML {
 public:
  SettingsFile(CLI::App& app, const CLI::Option& file) : app_(app), file_(file) {}

  // Items as CLI11 takes them, one for every command that a line is meant for: its section's, or without a
  // section every command with that flag. Sections come first, because the first item counts. Throws
  // CLI::ConfigError for a name that no command has.
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    const std::string text{std::istreambuf_iterator<char>(input), {}};
    check_lists(text);
    std::istringstream lines(text);
    std::vector<CLI::ConfigItem> in_sections, common;
    for (CLI::ConfigItem& item : CLI::ConfigTOML::from_config(lines)) {
      if (item.name == "++" || item.name == "--") continue;  // marks of a section's begin and end
      std::replace(item.name.begin(), item.name.end(), '_', '-');
      if (!environment(variable_of(item.name)).empty()) continue;
      if (item.parents.empty()) {
        spread(app_, item, {}, common);
      } else {
        check(item);
        in_sections.push_back(item);
      }
    }
    in_sections.insert(in_sections.end(), common.begin(), common.end());
    return in_sections;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw CLI::ConfigError(fmt::format("configuration file {}: {}", file_.as<std::string>(), what));
  }

  // CLI11 takes the rest of the file for the items of a list that nothing closes.
  void check_lists(const std::string& text) const {
    std::size_t line = 1, began = 0, depth = 0;
    bool value = false, blank = true;  // after '='; before anything else on the line
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '\n') {
        ++line;
        quote = 0;
        if (depth == 0) value = false;
      } else if (quote != 0) {
        if (c == '\\' && quote == '"') ++i;
        if (c == quote) quote = 0;
      } else if (value && (c == '"' || c == '\'')) {
        quote = c;
      } else if (c == '#') {
        i = std::min(text.find('\n', i), text.size()) - 1;
      } else if (!value && c == '=') {
        value = blank = true;
        continue;
      } else if (value && c == '[' && (blank || depth > 0)) {
        if (depth++ == 0) began = line;
      } else if (c == ']' && depth > 0) {
        --depth;
      }
      if (c != ' ' && c != '\t') blank = false;
    }
    if (depth > 0) refuse(fmt::format("line {}: found a list without its end, expected ']'", began));
  }

  void check(const CLI::ConfigItem& item) const {
    CLI::App* command = &app_;
    for (const std::string& part : item.parents) {
      const auto below = commands_of(*command);
      const auto found = std::find_if(below.begin(), below.end(),
                                      [&](const CLI::App* other) { return other->get_name() == part; });
      if (found == below.end()) {
        refuse(fmt::format("found the section [{}], expected a command", fmt::join(item.parents, ".")));
      }
      command = *found;
    }
    if (!has_setting(*command, item.name)) {
      refuse(fmt::format("found '{}' in [{}], expected a flag of that command", item.name,
                         fmt::join(item.parents, ".")));
    }
  }

  void spread(CLI::App& app, const CLI::ConfigItem& item, const std::vector<std::string>& parents,
              std::vector<CLI::ConfigItem>& out) const {
    const std::size_t before = out.size();
    if (has_setting(app, item.name)) {
      out.push_back(item);
      out.back().parents = parents;
    }
    for (CLI::App* command : commands_of(app)) {
      std::vector<std::string> below = parents;
      below.push_back(command->get_name());
      spread(*command, item, below, out);
    }
    if (parents.empty() && out.size() == before) {
      refuse(fmt::format("found '{}', expected a flag of some command", item.name));
    }
  }

  CLI::App& app_;
  const CLI::Option& file_;  // --config
};

std::string default_file() {
  const std::string config = environment("XDG_CONFIG_HOME");
  if (!config.empty()) return config + "/kakeya/config.toml";
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.config/kakeya/config.toml";
}

void name_variables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string name = setting_name(*option);
    if (!name.empty() && option->get_envname().empty()) option->envname(variable_of(name));
  }
  for (CLI::App* command : commands_of(app)) name_variables(*command);
}

}  // namespace

void add_settings(CLI::App& app) {
  const std::string named = environment("KAKEYA_CONFIG");
  const CLI::Option* option = app.set_config(
      "--config", named.empty() ? default_file() : named,
      "file with flags, TOML or INI (also KAKEYA_CONFIG; docs/howto/configure.md)", !named.empty());
  app.config_formatter(std::make_shared<SettingsFile>(app, *option));
  app.allow_config_extras(CLI::config_extras_mode::error);
  name_variables(app);
}

void hide_environment_names(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (!option->get_lnames().empty() && option->get_lnames().front() != "isa") option->envname("");
  }
  for (CLI::App* command : commands_of(app)) hide_environment_names(*command);
}

}  // namespace kakeya::cli
