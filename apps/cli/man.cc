// kakeya-llm man: the manual page, from the tree of commands.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <kakeya/version.h>

#include "cli/command_tree.h"
#include "cli/commands.h"

namespace kakeya::cli {
namespace {

// Text of a man page: no line of it is taken for a macro.
std::string roff(const std::string& text) {
  std::string out;
  bool begins = true;
  for (const char c : text) {
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    begins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string flag_entry(const FlagEntry& flag) {
  std::string head;
  for (const std::string& name : flag.names) {
    head += fmt::format("{}\\f{}{}\\fR", head.empty() ? "" : ", ", flag.positional ? 'I' : 'B', roff(name));
  }
  if (!flag.positional && flag.takes_value) {
    const std::string value = !flag.choices.empty() ? fmt::format("{}", fmt::join(flag.choices, "|"))
                              : flag.value.empty()  ? std::string("VALUE")
                                                    : flag.value;
    head += fmt::format(" \\fI{}\\fR", roff(value));
  }
  std::string help = flag.help.empty() ? std::string("See the examples.") : flag.help;
  if (!flag.default_text.empty()) help += fmt::format(" (default: {})", flag.default_text);
  return fmt::format(".TP\n{}\n{}\n", head, roff(help));
}

std::string flag_entries(const CommandEntry& command) {
  std::string out;
  for (const FlagEntry& flag : command.flags) out += flag_entry(flag);
  return out;
}

// What closes a help text is laid out by hand.
std::string examples(const std::string& footer) {
  if (footer.empty()) return {};
  return fmt::format(".PP\n.nf\n{}\n.fi\n", roff(footer));
}

std::string page(const std::vector<CommandEntry>& tree) {
  const CommandEntry& program = tree.front();
  std::string out = fmt::format(".TH KAKEYA\\-LLM 1 \"\" \"kakeya {}\" \"User Commands\"\n", version());
  out += fmt::format(".SH NAME\nkakeya\\-llm \\- {}\n", roff(program.help));
  out += ".SH SYNOPSIS\n.B kakeya\\-llm\n[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n";
  out += fmt::format(".SH OPTIONS\n{}", flag_entries(program));
  out += ".SH COMMANDS\n";
  for (std::size_t i = 1; i < tree.size(); ++i) {
    const CommandEntry& command = tree[i];
    out +=
        fmt::format(".SS kakeya\\-llm {}\n{}.\n{}{}", roff(fmt::format("{}", fmt::join(command.path, " "))),
                    roff(command.help), flag_entries(command), examples(command.footer));
  }
  out +=
      ".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n.TP\n.B 1\nthe work failed\n.TP\n.B 2\nwrong usage\n.TP\n.B "
      "130\ninterrupted\n";
  out +=
      ".SH ENVIRONMENT\nEvery flag may come from \\fBKAKEYA_\\fIFLAG\\fR, in capitals and with _ for \\-.\n"
      "\\fBKAKEYA_HOME\\fR, \\fBXDG_DATA_HOME\\fR: the store of pulled models.\n"
      "\\fBHF_TOKEN\\fR, \\fBHF_ENDPOINT\\fR: access to a hub.\n\\fBNO_COLOR\\fR: no colours.\n";
  out +=
      ".SH FILES\n.TP\n.I ~/.config/kakeya/config.toml\nflags; see \\fB\\-\\-config\\fR\n.TP\n.I "
      "~/.config/kakeya/profiles/\nwhat \\fBtune\\fR found\n.TP\n.I ~/.local/state/kakeya/history\nlines "
      "typed in "
      "\\fBchat\\fR\n.TP\n.I ~/.local/share/kakeya/models/\npulled models\n";
  return out;
}

}  // namespace

void add_man(CLI::App& app, Context& context) {
  CLI::App* command = add_command(app, "man", "Print the manual page",
                                  "  kakeya-llm man | man -l -\n"
                                  "  kakeya-llm man > kakeya-llm.1");
  on_run(command, context, [&app] {
    fmt::print("{}", page(command_tree(app)));
    return kOk;
  });
}

}  // namespace kakeya::cli
