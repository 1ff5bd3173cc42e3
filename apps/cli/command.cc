// Shared parts of the commands.
#include "cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "cli/places.h"

namespace kakeya::cli {
namespace {

constexpr std::size_t kMaxIdsFileBytes = std::size_t{64} << 20;

std::atomic<bool> g_interrupted{false};  // signal handlers reach nothing else
static_assert(std::atomic<bool>::is_always_lock_free);

void on_interrupt(int signal) {
  g_interrupted = true;
  std::signal(signal, SIG_DFL);
}

bool is_list(std::string_view text) {
  return text.find_first_not_of("0123456789,- \t\r\n") == std::string_view::npos;
}

// Numbers between commas or white space, in brackets or not.
Result<std::vector<Token>> parse_ids(const std::string& what, std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n,";
  const auto trim = [&](std::string_view s) {
    const auto first = s.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return std::string_view();
    return s.substr(first, s.find_last_not_of(" \t\r\n") - first + 1);
  };
  text = trim(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  std::vector<Token> ids;
  for (std::size_t at = text.find_first_not_of(kSpace); at != std::string_view::npos;
       at = text.find_first_not_of(kSpace, at)) {
    const std::string_view word = text.substr(at, std::min(text.find_first_of(kSpace, at), text.size()) - at);
    Token id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size()) {
      return invalid_argument(fmt::format("{}: token {} is '{}', expected a number below 2147483648", what,
                                          ids.size(), word.substr(0, 40)));
    }
    ids.push_back(id);
    at += word.size();
  }
  if (ids.empty()) return invalid_argument(fmt::format("{}: no token ids in it", what));
  return ids;
}

}  // namespace

int fail(const Error& error, std::string_view next_step) {
  std::fflush(stdout);
  fmt::print(stderr, "error: {}\n", error.message);
  if (!next_step.empty()) fmt::print(stderr, "{}\n", next_step);
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kContextOverflow:
      return kUsage;
    case ErrorCode::kCancelled:
      return kInterruptedCode;
    default:
      return kFailed;
  }
}

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& what,
                      const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, what);
  command->footer("Examples:\n" + examples);
  command->fallthrough();  // --isa works after the command too
  return command;
}

CLI::App& bench_command(CLI::App& app) {
  const auto benches = app.get_subcommands([](const CLI::App* c) { return c->get_name() == "bench"; });
  if (!benches.empty()) return *benches.front();
  CLI::App* bench = app.add_subcommand("bench", "measure");
  bench->require_subcommand(1);
  bench->fallthrough();
  return *bench;
}

void add_engine_flags(CLI::App* command, EngineFlags& flags) {
  command
      ->add_option(
          "--target", flags.target,
          "directory in Hugging Face layout, GGUF file, pulled model (ORG/REPO, ORG/REPO:QUANT or a short "
          "name; 'list' and 'pull --help' show them), or 'tiny', the embedded pair")
      ->capture_default_str();
  command->add_option(
      "--draft", flags.draft,
      "DFlash draft: named as --target, or 'auto' for the published draft of the target; without "
      "it, plain decoding");
  command->add_option("--threads", flags.threads, "0 = every core this process may use")
      ->capture_default_str();
}

void add_tool_format(CLI::App* command, EngineFlags& flags) {
  command
      ->add_option(
          "--tool-format", flags.tool_format,
          "how the model writes calls of tools: auto (as its chat template says), qwen3, qwen3-coder, "
          "llama3")
      ->check(CLI::IsMember({"auto", "qwen3", "qwen3-coder", "llama3"}))
      ->capture_default_str();
}

Result<std::string> known_draft(const std::string& target) {
  if (target == "tiny") return std::string("tiny");
  const auto id = hub::id_of_name(target);
  const auto draft = hub::suggested_draft(id ? id->repository() : target);
  if (draft) return draft->text();
  return invalid_argument(
      fmt::format("--draft auto: no published draft is known for {}, expected its name", target));
}

Result<std::unique_ptr<Engine>> open_engine(const EngineFlags& flags, const Context& context) {
  EngineOptions options;
  options.target = flags.target;
  options.draft = flags.draft;
  if (flags.draft == "auto") {
    KAKEYA_ASSIGN(options.draft, known_draft(flags.target));
  }
  KAKEYA_TRY(resolve_in_place(options.target));
  if (!options.draft.empty()) KAKEYA_TRY(resolve_in_place(options.draft));
  options.threads = flags.threads;
  options.chat_template = flags.chat_template;
  options.isa = context.isa;
  options.tool_format = flags.tool_format;
  return Engine::open(options);
}

void mention_known_draft(const EngineFlags& flags) {
  if (!flags.draft.empty() || flags.target == "tiny" || ::isatty(STDERR_FILENO) == 0) return;
  const auto draft = known_draft(flags.target);
  if (!draft.ok()) return;
  const bool pulled = resolve_name(*draft).ok();
  fmt::print(stderr, "note: {} is a draft for this target: --draft auto{}\n", *draft,
             pulled ? "" : " (kakeya-llm pull " + *draft + " gets it)");
}

void print_json(const nlohmann::ordered_json& value) {
  fmt::print("{}\n", value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
}

Result<std::vector<Token>> read_ids(const std::string& list_or_file) {
  if (is_list(list_or_file)) return parse_ids("ids", list_or_file);
  KAKEYA_ASSIGN(const std::string content, acceptance::read_whole_file(list_or_file, kMaxIdsFileBytes));
  return parse_ids(list_or_file, content);
}

void catch_interrupts() { std::signal(SIGINT, on_interrupt); }

bool interrupted() { return g_interrupted; }

void rearm_interrupts() {
  g_interrupted = false;
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace kakeya::cli
