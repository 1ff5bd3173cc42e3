// kakeya-llm chat: a conversation, on a terminal or from a script.
#include <fmt/format.h>
#include <kakeya/service.h>

#include <cstdio>

#include "cli/chat_commands.h"
#include "cli/commands.h"
#include "cli/line_reader.h"
#include "cli/places.h"
#include "cli/sampling_flags.h"

namespace kakeya::cli {
namespace {

constexpr const char* kPrompt = ">>> ";

struct ChatFlags {
  ModelFlags model;
  AnswerFlags answer;
  std::string model_argument;  // wins over model.model, which a configuration file may set
  std::string system, load;
  std::string colour = "auto";
  bool show_acceptance = false;
};

Conversation begin(const ChatFlags& flags, const OpenModel& model) {
  Conversation out;
  out.system = flags.system;
  ChatSettings& settings = out.settings;
  settings.kv = model.session.kv;
  settings.draft_kv = model.session.draft_kv;
  settings.speculation = model.speculation;
  settings.verify_width = model.verify_width;
  settings.thinking = flags.answer.thinking;
  settings.show_acceptance = flags.show_acceptance;
  settings.sampling = flags.answer.sampling;
  settings.max_tokens = flags.answer.max_tokens;
  settings.stop = flags.answer.stop;
  return out;
}

void greet(const ChatSession& chat, const std::string& kv) {
  const Engine& engine = chat.engine();
  fmt::print("{}{}, KV {}. /help lists the commands, Ctrl-D leaves.\n", engine.target().id,
             engine.draft() != nullptr ? " with the draft " + engine.draft()->id : "", kv);
}

// One message of the user. False: leave.
bool take(ChatSession& chat, const std::string& message, bool& failed) {
  if (message.find_first_not_of(" \t\n") == std::string::npos) return true;
  if (message.front() == '/' && !message.starts_with("//")) {
    const CommandOutcome outcome = run_chat_command(chat, message);
    std::fflush(stdout);
    failed = failed || outcome == CommandOutcome::kFailed;
    return outcome != CommandOutcome::kExit;
  }
  const Status asked = chat.ask(message.starts_with("//") ? message.substr(1) : message);
  if (asked.ok()) return true;
  const bool full = asked.error().code == ErrorCode::kContextOverflow;
  fail(asked.error(), full ? "/clear starts over; --ctx gives a larger context where the model has one"
                           : "the question is taken back");
  failed = true;
  return true;
}

int converse(ChatSession& chat, LineReader& reader) {
  bool failed = false;
  std::string message;
  while (true) {
    const LineReader::Outcome outcome = read_message(reader, kPrompt, message);
    if (outcome == LineReader::Outcome::kEnd) break;
    if (outcome == LineReader::Outcome::kInterrupted) {
      if (!reader.interactive()) return kInterruptedCode;
      continue;
    }
    if (!take(chat, message, failed)) break;
  }
  // A person saw what went wrong; who wrote a script learns it by the exit code.
  return failed && !reader.interactive() ? kFailed : kOk;
}

int run(ChatFlags flags, const Context& context) {
  if (!flags.model_argument.empty()) flags.model.model = flags.model_argument;
  auto model = open_model(flags.model, context);
  if (!model.ok()) return fail(model.error(), next_step_of(model.error()));
  if (model->engine->template_family() == "none") {
    return fail(unsupported(fmt::format("{}: no chat template that is known", model->engine->target().id)),
                "kakeya-llm generate --prompt continues a text with it");
  }
  catch_interrupts();
  Conversation conversation = begin(flags, *model);
  const std::string kv = conversation.settings.kv;
  const std::string_view step = channel_step(model->session, *model->engine);
  auto chat = ChatSession::create(std::move(*model), std::move(conversation), wants_colour(flags.colour));
  if (!chat.ok()) return fail(chat.error(), step);
  const std::string state = state_directory();
  const auto reader = make_line_reader(state.empty() ? "" : state + "/history");
  if (reader->interactive()) greet(**chat, kv);
  if (!flags.load.empty()) {
    const auto loaded = (*chat)->load(flags.load);
    if (!loaded.ok()) return fail(loaded.error());
    fmt::print(stderr, "{}\n", *loaded);
  }
  return converse(**chat, *reader);
}

}  // namespace

void add_chat(CLI::App& app, Context& context) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* command =
      add_command(app, "chat", "Hold a conversation",
                  "  kakeya-llm chat\n"
                  "  kakeya-llm chat Qwen/Qwen3-8B --kv e8-q10 --system \"Answer briefly.\"\n"
                  "  kakeya-llm chat --load talk.json\n"
                  "  printf 'What is 3 + 4?\\n/stats\\n' | kakeya-llm chat tiny\n"
                  "In it, /help lists what can be changed and saved on the way. docs/howto/chat.md");
  command->add_option("model", flags->model_argument,
                      "'tiny', a short name, ORG/REPO, a GGUF file or a directory");
  command->add_option("-m,--model", flags->model.model, "model when none is named as an argument")
      ->capture_default_str();
  add_model_flags(command, flags->model);
  command->add_option("--system", flags->system, "system message");
  command->add_option("--load", flags->load, "conversation that /save wrote");
  add_answer_flags(command, flags->answer);
  command->add_flag("--show-acceptance", flags->show_acceptance,
                    "tokens that the draft proposed and the target accepted in another colour");
  command->add_option("--color", flags->colour, "auto: on a terminal, unless NO_COLOR is set")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  on_run(command, context, [flags, &context] { return run(*flags, context); });
}

}  // namespace kakeya::cli
