// kakeya-llm run: one question, answered on stdout.
#include <fmt/format.h>
#include <kakeya/constraint.h>
#include <kakeya/service.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "cli/answer_view.h"
#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/sampling_flags.h"

namespace kakeya::cli {
namespace {

constexpr std::size_t kMaxInputBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxSchemaBytes = std::size_t{1} << 20;

struct RunFlags {
  ModelFlags model;
  AnswerFlags answer;
  std::vector<std::string> words;  // [MODEL] PROMPT...
  std::string system, format, schema;
  std::string colour = "auto";
  bool show_acceptance = false, stats = false, json = false;
};

// All of stdin, unless a person types there. Errors: kInvalidArgument when it is too long.
Result<std::string> piped_text() {
  if (::isatty(STDIN_FILENO) != 0) return std::string();
  std::string text;
  char block[65536];
  while (std::cin.read(block, sizeof block) || std::cin.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > kMaxInputBytes) {
      return invalid_argument(
          fmt::format("stdin: more than {} bytes, expected a text for one prompt", kMaxInputBytes));
    }
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// The words of the prompt, then what was piped in as the text to work on.
Result<std::string> prompt_of(RunFlags& flags) {
  if (!flags.words.empty() && names_model(flags.words.front())) {
    flags.model.model = flags.words.front();
    flags.words.erase(flags.words.begin());
  }
  const std::string words = fmt::format("{}", fmt::join(flags.words, " "));
  KAKEYA_ASSIGN(const std::string piped, piped_text());
  if (words.empty() && piped.empty()) {
    return invalid_argument(
        "run: found no prompt, expected one as an argument or on stdin; for a conversation: kakeya-llm chat");
  }
  if (words.empty() || piped.empty()) return words + piped;
  return words + "\n\n" + piped;
}

Result<std::optional<ConstraintSpec>> format_of(const RunFlags& flags) {
  ConstraintSpec spec;
  if (!flags.schema.empty()) {
    spec.kind = ConstraintKind::kJsonSchema;
    KAKEYA_ASSIGN(spec.text, acceptance::read_whole_file(flags.schema, kMaxSchemaBytes));
    return std::optional(std::move(spec));
  }
  if (flags.format != "json") return std::optional<ConstraintSpec>();
  return std::optional(std::move(spec));
}

Result<dialog::DialogRequest> request_of(const RunFlags& flags, const std::string& prompt,
                                         const OpenModel& model) {
  dialog::DialogRequest request;
  ChatRequest chat;
  if (!flags.system.empty()) chat.messages.push_back({"system", flags.system, {}, {}});
  chat.messages.push_back({"user", prompt, {}, {}});
  if (flags.answer.thinking) chat.enable_thinking = true;
  request.input = std::move(chat);
  KAKEYA_ASSIGN(request.format, format_of(flags));
  request.sampling = flags.answer.sampling;
  request.max_tokens = flags.answer.max_tokens;
  request.stop_strings = flags.answer.stop;
  request.speculation = model.speculation;
  request.verify_width = model.verify_width;
  return request;
}

nlohmann::ordered_json profile_json(const std::optional<Profile>& profile) {
  if (!profile) return {};
  nlohmann::ordered_json out = {{"path", profile->path}, {"created_at", profile->created_at}};
  out["acceptance_band"] = nlohmann::ordered_json();
  if (const auto& band = profile->band) {
    out["acceptance_band"] = {
        {"mean", band->mean}, {"low", band->low}, {"high", band->high}, {"window", band->window}};
  }
  return out;
}

int finish(const RunFlags& flags, const OpenModel& model, const Answered& answer, std::size_t kv_bytes) {
  const std::string band =
      band_words(model.profile, sum_cycles(answer.summary.completion.cycles).acceptance_length);
  const bool cancelled = answer.summary.completion.finish == FinishReason::kCancelled;
  if (flags.json) {
    auto out = answer_json(*model.engine, answer, kv_bytes);
    out["profile"] = profile_json(model.profile);
    print_json(out);
  } else {
    fmt::print("\n");
    std::fflush(stdout);
    if (flags.stats) fmt::print(stderr, "{}\n", stats_line(answer, kv_bytes));
    if (flags.stats && !band.empty()) fmt::print(stderr, "[{}]\n", band);
    if (cancelled) fmt::print(stderr, "interrupted\n");
  }
  return cancelled ? kInterruptedCode : kOk;
}

// The schema's own mistakes, by the name of its file.
Error reply_error(const Error& error, const RunFlags& flags, const Engine& engine) {
  const auto format = format_of(flags);
  if (flags.schema.empty() || !format.ok()) return error;
  const auto constraint = engine.new_constraint(**format);
  if (constraint.ok()) return error;
  return {constraint.error().code, fmt::format("--schema {}: {}", flags.schema, constraint.error().message)};
}

int run(RunFlags flags, const Context& context) {
  const auto prompt = prompt_of(flags);
  if (!prompt.ok()) return fail(prompt.error());
  const auto model = open_model(flags.model, context);
  if (!model.ok()) return fail(model.error(), next_step_of(model.error()));
  const Engine& engine = *model->engine;
  ServiceOptions options;
  options.session = model->session;
  options.slots = 1;
  options.prefix_bytes = 0;  // one request: nothing to come back to
  const auto service = engine.new_service(options);
  if (!service.ok()) return fail(service.error(), channel_step(options.session, engine));
  auto request = request_of(flags, *prompt, *model);
  if (!request.ok()) return fail(request.error());
  catch_interrupts();
  const auto reply = dialog::ask(engine, **service, std::move(*request));
  if (!reply.ok()) return fail(reply_error(reply.error(), flags, engine));
  ViewOptions view;
  view.show = !flags.json;
  view.reasoning = flags.answer.thinking;
  view.acceptance = flags.show_acceptance;
  view.colour = wants_colour(flags.colour);
  const auto answer = follow(engine, **reply, view);
  if (!answer.ok()) return fail(answer.error());
  const ServiceStats stats = (*service)->stats();
  return finish(flags, *model, *answer, stats.kv_bytes + stats.draft_kv_bytes);
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = add_command(
      app, "run", "Answer one question",
      "  kakeya-llm run \"Ruth writes 4 letters every day. How many letters does she write in 4 weeks?\"\n"
      "  kakeya-llm run Qwen/Qwen3-8B --kv e8-q10 --stats Why is the sky blue?\n"
      "  kakeya-llm run qwen3-4b \"Summarise this:\" < notes.txt\n"
      "  kakeya-llm run ./Qwen3-8B --schema person.json --json \"Make up a person\"\n"
      "The first word is taken for a model when it names one: 'tiny', a short name, ORG/REPO, a GGUF file or "
      "a\n"
      "directory. Of an answer without colour, --show-acceptance puts \u27e8 \u27e9 around what the draft "
      "wrote.");
  command->add_option("words", flags->words, "[MODEL] PROMPT...; what is piped in follows the prompt");
  command->add_option("-m,--model", flags->model.model, "model when the first word names none")
      ->capture_default_str();
  add_model_flags(command, flags->model);
  command->add_option("--system", flags->system, "system message");
  add_answer_flags(command, flags->answer);
  auto* format = command->add_option("--format", flags->format, "json: the answer is a JSON object");
  format->check(CLI::IsMember({"json"}));
  command->add_option("--schema", flags->schema, "file with a JSON Schema that the answer keeps")
      ->excludes(format);
  command->add_flag("--show-acceptance", flags->show_acceptance,
                    "tokens that the draft proposed and the target accepted in another colour");
  command->add_option("--color", flags->colour, "auto: on a terminal, unless NO_COLOR is set")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  command->add_flag("--stats", flags->stats, "times, acceptance and KV bytes afterwards, on stderr");
  command->add_flag("--json", flags->json, "one JSON object instead of text");
  on_run(command, context, [flags, &context] { return run(*flags, context); });
}

}  // namespace kakeya::cli
