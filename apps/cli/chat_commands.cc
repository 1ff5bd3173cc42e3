#include "cli/chat_commands.h"

#include <fmt/format.h>

#include <array>

#include "cli/command.h"

namespace kakeya::cli {
namespace {

using Outcome = CommandOutcome;

struct ChatCommand {
  const char* name;
  const char* arguments;
  const char* help;
  Outcome (*run)(ChatSession&, const std::string& argument);
};

Outcome failed(const Error& error, std::string_view next_step = {}) {
  fail(error, next_step);
  return Outcome::kFailed;
}

Outcome outcome_of(const Status& status, std::string_view next_step = {}) {
  return status.ok() ? Outcome::kDone : failed(status.error(), next_step);
}

Outcome show_kv(ChatSession& chat) {
  for (const std::string& name : example_channels(chat.settings().kv)) {
    fmt::print("{} {}\n", name == chat.settings().kv ? "*" : " ", chat.channel_cost(name));
  }
  return Outcome::kDone;
}

Outcome kv(ChatSession& chat, const std::string& channel) {
  if (channel.empty()) return show_kv(chat);
  const std::string before = chat.settings().kv;
  const Status used = chat.use_channel(channel);
  if (!used.ok()) return failed(used.error(), "/kv without a name lists channels");
  fmt::print("{}\n", chat.channel_cost(channel));
  if (before != channel)
    fmt::print("the next answer computes the conversation in it; was {}\n", chat.channel_cost(before));
  return Outcome::kDone;
}

Outcome draft(ChatSession& chat, const std::string& mode) {
  const ModelInfo* model = chat.engine().draft();
  if (model == nullptr) {
    return failed(invalid_argument("draft: this chat has none"), "start it with --draft NAME");
  }
  if (!mode.empty()) {
    const auto speculation = parse_speculation(mode);
    if (!speculation.ok()) return failed(speculation.error());
    chat.settings().speculation = *speculation;
  }
  fmt::print("draft {}: {}\n", model->id, to_string(chat.settings().speculation));
  return Outcome::kDone;
}

Outcome think(ChatSession& chat, const std::string& value) {
  if (chat.engine().template_family() != "qwen3") {
    return failed(unsupported(fmt::format("think: the chat template of {} ({}) has no such switch",
                                          chat.engine().target().id, chat.engine().template_family())));
  }
  if (!value.empty() && value != "on" && value != "off") {
    return failed(invalid_argument(fmt::format("think: found '{}', expected on or off", value)));
  }
  if (!value.empty()) chat.settings().thinking = value == "on";
  fmt::print("thinking is {}\n", chat.settings().thinking ? "on" : "off");
  return Outcome::kDone;
}

Outcome set(ChatSession& chat, const std::string& argument) {
  const std::size_t space = argument.find(' ');
  if (argument.empty()) {
    const std::string values = values_text(chat.settings());
    fmt::print("{}\n", values.empty() ? "everything is left to the model" : values);
    return Outcome::kDone;
  }
  if (space == std::string::npos) {
    return failed(
        invalid_argument(fmt::format("set {}: found no value, expected one (or 'default')", argument)));
  }
  return outcome_of(set_value(chat.settings(), argument.substr(0, space), argument.substr(space + 1)));
}

Outcome system(ChatSession& chat, const std::string& text) {
  if (!text.empty()) chat.conversation().system = text == "none" ? "" : text;
  const std::string& now = chat.conversation().system;
  fmt::print("system: {}\n", now.empty() ? "(none)" : now);
  return Outcome::kDone;
}

Outcome save(ChatSession& chat, const std::string& path) {
  if (path.empty()) return failed(invalid_argument("save: found no file, expected /save FILE"));
  const auto text = chat.save(path);
  if (!text.ok()) return failed(text.error());
  fmt::print("{}\n", *text);
  return Outcome::kDone;
}

Outcome load(ChatSession& chat, const std::string& path) {
  if (path.empty()) return failed(invalid_argument("load: found no file, expected /load FILE"));
  const auto text = chat.load(path);
  if (!text.ok()) return failed(text.error(), "the conversation is as it was");
  fmt::print("{}\n", *text);
  return Outcome::kDone;
}

Outcome help(ChatSession&, const std::string&);

constexpr std::array kCommands = {
    ChatCommand{"help", "", "this list", help},
    ChatCommand{"kv", "[CHANNEL]", "how the cache is stored; what each channel costs", kv},
    ChatCommand{"draft", "[on|off|auto|fixed]", "drafting; on is auto. The text is the same", draft},
    ChatCommand{"stats", "", "speed, acceptance and memory",
                [](ChatSession& chat, const std::string&) {
                  fmt::print("{}\n", chat.stats());
                  return Outcome::kDone;
                }},
    ChatCommand{"save", "FILE", "the conversation, and its KV cache beside it", save},
    ChatCommand{"load", "FILE", "go on with a saved conversation", load},
    ChatCommand{"system", "[TEXT|none]", "the system message", system},
    ChatCommand{"clear", "", "start over; settings and system message stay",
                [](ChatSession& chat, const std::string&) {
                  chat.clear();
                  fmt::print("cleared\n");
                  return Outcome::kDone;
                }},
    ChatCommand{"regen", "", "answer the last question again",
                [](ChatSession& chat, const std::string&) { return outcome_of(chat.regenerate()); }},
    ChatCommand{"think", "[on|off]", "let the model think first", think},
    ChatCommand{"set", "[NAME VALUE]",
                "temperature, top_k, top_p, min_p, repetition_penalty, seed, max_tokens, stop, "
                "show_acceptance; VALUE default takes it back",
                set},
    ChatCommand{"exit", "", "leave (also Ctrl-D)",
                [](ChatSession&, const std::string&) { return Outcome::kExit; }},
};

Outcome help(ChatSession&, const std::string&) {
  for (const ChatCommand& command : kCommands) {
    fmt::print("/{:<28} {}\n", fmt::format("{} {}", command.name, command.arguments), command.help);
  }
  fmt::print(
      "\"\"\" begins and ends a message of several lines; so does a backslash at a line's end.\n"
      "// begins a message with a slash. Ctrl-C stops an answer, Ctrl-D leaves.\n");
  return Outcome::kDone;
}

}  // namespace

CommandOutcome run_chat_command(ChatSession& chat, const std::string& line) {
  const std::size_t end = line.find_first_of(" \t");
  std::string name = line.substr(1, end == std::string::npos ? end : end - 1);
  std::string argument;
  if (const auto at = line.find_first_not_of(" \t", std::min(end, line.size())); at != std::string::npos) {
    argument = line.substr(at);
    argument.erase(argument.find_last_not_of(" \t\r\n") + 1);
  }
  if (name == "quit" || name == "bye") name = "exit";
  for (const ChatCommand& command : kCommands) {
    if (name == command.name) return command.run(chat, argument);
  }
  return failed(invalid_argument(fmt::format("'/{}' is not a command", name)), "/help lists the commands");
}

}  // namespace kakeya::cli
