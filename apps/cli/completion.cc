// kakeya-llm completion: scripts for shells, from the tree of commands.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command_tree.h"
#include "cli/commands.h"
#include "hub/model_names.h"

namespace kakeya::cli {
namespace {

std::string joined(const std::vector<std::string>& path) { return fmt::format("{}", fmt::join(path, "/")); }

std::string names_of_flags(const CommandEntry& command) {
  std::string out;
  for (const FlagEntry& flag : command.flags) {
    if (!flag.positional) out += fmt::format("{}{}", out.empty() ? "" : " ", fmt::join(flag.names, " "));
  }
  return out;
}

// Words that name a model wherever one is wanted.
std::string model_names() {
  std::string out = "tiny";
  for (const hub::Alias& alias : hub::aliases()) out += fmt::format(" {}", alias.name);
  return out;
}

// In single quotes of a POSIX shell.
std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The first sentence, on one line: a list of candidates has no room for more.
std::string brief(const std::string& help) {
  std::string out = help.substr(0, std::min({help.find(';'), help.find('\n'), help.find(". "), help.size()}));
  return out;
}

std::string bash_script(const std::vector<CommandEntry>& tree) {
  std::string paths, flags, values, below;
  for (const CommandEntry& command : tree) {
    const std::string path = joined(command.path);
    if (!path.empty()) paths += (paths.empty() ? "" : "|") + path;
    flags += fmt::format("    '{}') flags='{}' ;;\n", path, names_of_flags(command));
    if (!command.below.empty())
      below += fmt::format("    '{}') below='{}' ;;\n", path, fmt::join(command.below, " "));
    for (const FlagEntry& flag : command.flags) {
      if (flag.positional || !flag.takes_value) continue;
      std::string patterns;
      for (const std::string& name : flag.names)
        patterns += fmt::format("{}'{}:{}'", patterns.empty() ? "" : "|", path, name);
      values += fmt::format("    {}) value=1; words='{}' ;;\n", patterns, fmt::join(flag.choices, " "));
    }
  }
  return fmt::format(R"(# bash completion of kakeya-llm; made by: kakeya-llm completion bash
_kakeya_llm() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
  local path='' flags='' below='' value='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{path:+$path/}}${{COMP_WORDS[i]}}" in
      {}) path="${{path:+$path/}}${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$path:$prev" in
{}  esac
  COMPREPLY=()
  if [[ -n $value ]]; then
    if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); else COMPREPLY=($(compgen -f -W '{}' -- "$cur")); fi
    return
  fi
  case "$path" in
{}  esac
  case "$path" in
{}  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -n $below ]]; then
    COMPREPLY=($(compgen -W "$below" -- "$cur"))
  else
    COMPREPLY=($(compgen -f -W '{}' -- "$cur"))
  fi
}}
complete -o filenames -F _kakeya_llm kakeya-llm
)",
                     paths, values, model_names(), flags, below, model_names());
}

// Text inside the [...] of an _arguments specification.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : brief(text)) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_flags(const CommandEntry& command) {
  std::string out;
  for (const FlagEntry& flag : command.flags) {
    if (flag.positional) continue;
    for (const std::string& name : flag.names) {
      std::string spec = fmt::format("*{}[{}]", name, zsh_text(flag.help));
      if (flag.takes_value) {
        spec += flag.choices.empty()
                    ? fmt::format(":{}:_files", flag.value.empty() ? "value" : zsh_text(flag.value))
                    : fmt::format(":value:({})", fmt::join(flag.choices, " "));
      }
      out += fmt::format("    {}\n", shell_quoted(spec));
    }
  }
  return out;
}

std::string zsh_script(const std::vector<CommandEntry>& tree) {
  std::string out =
      "#compdef kakeya-llm\n# zsh completion of kakeya-llm; made by: kakeya-llm completion zsh\n"
      "_kakeya_llm() {\n  local path='' word\n  local -a specs\n";
  std::string paths;
  for (const CommandEntry& command : tree) {
    if (!command.path.empty()) paths += (paths.empty() ? "" : "|") + joined(command.path);
  }
  out += fmt::format(
      "  for word in ${{words[2,CURRENT-1]}}; do\n    case \"${{path:+$path/}}$word\" in\n"
      "      {}) path=\"${{path:+$path/}}$word\" ;;\n    esac\n  done\n  case \"$path\" in\n",
      paths);
  for (const CommandEntry& command : tree) {
    const std::string last = command.below.empty()
                                 ? fmt::format("'*:argument:{{_files; compadd {}}}'", model_names())
                                 : fmt::format("'*:command:({})'", fmt::join(command.below, " "));
    out += fmt::format("  '{}') specs=(\n{}    {}\n  ) ;;\n", joined(command.path), zsh_flags(command), last);
  }
  return out +
         "  esac\n  _arguments -S $specs\n}\nif [[ $funcstack[1] == _kakeya-llm ]]; then _kakeya_llm \"$@\"; "
         "else "
         "compdef _kakeya_llm kakeya-llm; fi\n";
}

std::string fish_condition(const std::vector<std::string>& path, const std::vector<std::string>& below) {
  std::string out;
  for (const std::string& word : path) {
    out += fmt::format("{}__fish_seen_subcommand_from {}", out.empty() ? "" : "; and ", word);
  }
  if (!below.empty()) {
    out += fmt::format("{}not __fish_seen_subcommand_from {}", out.empty() ? "" : "; and ",
                       fmt::join(below, " "));
  }
  return out.empty() ? "true" : out;
}

std::string fish_flag(const FlagEntry& flag, const std::string& condition) {
  std::string out = fmt::format("complete -c kakeya-llm -n {}", shell_quoted(condition));
  for (const std::string& name : flag.names) {
    out += name.rfind("--", 0) == 0 ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (flag.takes_value) out += " -r";
  if (!flag.choices.empty())
    out += fmt::format(" -f -a {}", shell_quoted(fmt::format("{}", fmt::join(flag.choices, " "))));
  return out + fmt::format(" -d {}\n", shell_quoted(brief(flag.help)));
}

std::string fish_script(const std::vector<CommandEntry>& tree) {
  std::string out = "# fish completion of kakeya-llm; made by: kakeya-llm completion fish\n";
  for (const CommandEntry& command : tree) {
    const std::string condition = fish_condition(command.path, command.below);
    for (const FlagEntry& flag : command.flags) {
      if (!flag.positional) out += fish_flag(flag, condition);
    }
    for (const CommandEntry& other : tree) {  // those right below, with their help
      if (other.path.size() != command.path.size() + 1 ||
          !std::equal(command.path.begin(), command.path.end(), other.path.begin())) {
        continue;
      }
      out += fmt::format("complete -c kakeya-llm -n {} -f -a {} -d {}\n", shell_quoted(condition),
                         shell_quoted(other.path.back()), shell_quoted(brief(other.help)));
    }
  }
  return out;
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      add_command(app, "completion", "Print a completion script for a shell",
                  "  kakeya-llm completion bash > ~/.local/share/bash-completion/completions/kakeya-llm\n"
                  "  kakeya-llm completion zsh > \"${fpath[1]}/_kakeya-llm\"\n"
                  "  kakeya-llm completion fish > ~/.config/fish/completions/kakeya-llm.fish\n"
                  "Installed packages bring them along.");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  on_run(command, context, [shell, &app] {
    const auto tree = command_tree(app);
    fmt::print("{}", *shell == "bash"  ? bash_script(tree)
                     : *shell == "zsh" ? zsh_script(tree)
                                       : fish_script(tree));
    return kOk;
  });
}

}  // namespace kakeya::cli
