// kakeya-llm pull: a model from a hub into the store.
#include "hub/pull.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/places.h"

namespace kakeya::cli {
namespace {

struct PullFlags {
  std::string name;
  hub::PullRequest request;
  bool json = false;
};

// A bar on a terminal, rewritten; a line every few seconds elsewhere.
class ProgressLine {
 public:
  void show(const hub::PullProgress& progress) {
    const auto now = Clock::now();
    if (start_ == Clock::time_point()) {
      start_ = now;
      bytes_at_start_ = progress.bytes_done;
    }
    const bool last = progress.files_done == progress.files;
    if (!last && now - shown_ < (terminal_ ? kTerminalStep : kLogStep)) return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double come =
        static_cast<double>(progress.bytes_done - std::min(progress.bytes_done, bytes_at_start_));
    const double speed = seconds > 0 ? come / seconds : 0;
    const std::string line = fmt::format(
        "{}{}/{} files, {} of {}, {}/s{}", terminal_ ? bar(progress) : "", progress.files_done,
        progress.files, hub::readable_bytes(progress.bytes_done), hub::readable_bytes(progress.bytes),
        hub::readable_bytes(static_cast<std::uint64_t>(speed)), last ? "" : left(progress, speed));
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\x1b[K" : "", line, terminal_ && !last ? "" : "\n");
    open_ = terminal_ && !last;
    std::fflush(stderr);
  }
  // Leaves the bar's line.
  void close() {
    if (open_) fmt::print(stderr, "\n");
    open_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kTerminalStep{200}, kLogStep{5000};
  static constexpr std::size_t kBarWidth = 24;

  static std::string bar(const hub::PullProgress& progress) {
    const double part = progress.bytes == 0
                            ? 1
                            : static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes);
    const auto filled = static_cast<std::size_t>(part * kBarWidth);
    return fmt::format("[{}{}] {:3.0f} % ", std::string(filled, '#'),
                       std::string(kBarWidth - std::min(filled, kBarWidth), '.'), part * 100);
  }
  static std::string left(const hub::PullProgress& progress, double speed) {
    if (speed < 1) return "";
    const auto s = static_cast<long>(static_cast<double>(progress.bytes - progress.bytes_done) / speed);
    return s >= 3600 ? fmt::format(", {} h {:02} min left", s / 3600, s / 60 % 60)
                     : fmt::format(", {}:{:02} left", s / 60, s % 60);
  }

  const bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  Clock::time_point start_{}, shown_{};
  std::uint64_t bytes_at_start_ = 0;
  bool open_ = false;
};

void print_result(const PullFlags& flags, const hub::PullResult& result) {
  const hub::Manifest& manifest = result.manifest;
  if (!flags.json) {
    fmt::print("{}: {}, {} files, {}, commit {}\n{}\n", manifest.id.text(),
               result.already_there ? "already there" : "pulled", manifest.files.size(),
               hub::readable_bytes(manifest.bytes()), manifest.commit.substr(0, 12), result.path);
    return;
  }
  auto files = nlohmann::ordered_json::array();
  for (const hub::HubFile& file : manifest.files) {
    files.push_back({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}});
  }
  print_json({{"id", manifest.id.text()},
              {"revision", manifest.revision},
              {"commit", manifest.commit},
              {"path", result.path},
              {"bytes", manifest.bytes()},
              {"received_bytes", result.received},
              {"already_there", result.already_there},
              {"files", std::move(files)}});
}

int run(PullFlags flags) {
  const auto id = hub::id_of_name(flags.name);
  if (!id) {
    return fail(invalid_argument(fmt::format(
        "pull: found '{}', expected ORG/REPO, ORG/REPO:QUANT or one of the short names in 'pull --help'",
        flags.name)));
  }
  flags.request.id = *id;
  const auto store = open_store();
  if (!store.ok()) return fail(store.error());
  hub::HubAccess access = hub_access();
  access.cancelled = [] { return interrupted(); };
  catch_interrupts();
  ProgressLine line;
  const auto result =
      hub::pull(*store, access, flags.request, [&](const hub::PullProgress& p) { line.show(p); });
  line.close();
  if (!result.ok()) {
    const ErrorCode code = result.error().code;
    const bool goes_on = code == ErrorCode::kNetwork || code == ErrorCode::kCancelled;
    return fail(result.error(), goes_on ? "the same command continues where this one ended" : "");
  }
  print_result(flags, *result);
  return kOk;
}

std::string examples() {
  std::string text =
      "  kakeya-llm pull Qwen/Qwen3-8B\n"
      "  kakeya-llm pull Qwen/Qwen3-8B-GGUF:Q4_K_M\n"
      "  kakeya-llm pull z-lab/Qwen3-8B-DFlash-b16\n"
      "  kakeya-llm pull org/repo --include '*.safetensors' --include '*.json' --dir ./model\n"
      "\nHF_TOKEN (or ~/.cache/huggingface/token) opens gated models, HF_ENDPOINT names another hub, "
      "KAKEYA_HOME\n"
      "the store. Interrupted pulls are continued. docs/howto/pull-a-model.md\n\nShort names:\n";
  for (const hub::Alias& alias : hub::aliases()) text += fmt::format("  {:<20} {}\n", alias.name, alias.id);
  text.pop_back();
  return text;
}

}  // namespace

void add_pull(CLI::App& app, Context& context) {
  auto flags = std::make_shared<PullFlags>();
  CLI::App* command = add_command(app, "pull", "Download a model from a Hugging Face hub", examples());
  command
      ->add_option("name", flags->name,
                   "ORG/REPO, ORG/REPO:QUANT for one GGUF file of several, or a short name")
      ->required();
  command->add_option("--revision", flags->request.revision, "branch, tag or commit")->capture_default_str();
  command->add_option("--include", flags->request.patterns.include,
                      "files to take, as a shell's pattern ('*' takes '/' too); may be repeated. Default: "
                      "safetensors with the JSON files beside them, or the GGUF file");
  command->add_option("--exclude", flags->request.patterns.exclude, "files to leave out; may be repeated");
  command->add_option("--dir", flags->request.directory,
                      "new or empty directory for the files, instead of the store");
  command->add_option("--connections", flags->request.connections, "files at a time")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  command->add_flag("--force", flags->request.force, "download everything again");
  command->add_flag("--json", flags->json, "one JSON object");
  on_run(command, context, [flags] { return run(*flags); });
}

}  // namespace kakeya::cli
