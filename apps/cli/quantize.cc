// kakeya-llm quantize: a Hugging Face directory becomes one GGUF file.
#include <fmt/format.h>
#include <kakeya/quantize.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/places.h"

namespace kakeya::cli {
namespace {

struct QuantizeFlags {
  QuantizeOptions options;
  bool json = false;
};

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

// One line on a terminal, rewritten; a line every few seconds elsewhere.
class ProgressLine {
 public:
  bool show(const QuantizeProgress& progress) {
    const auto now = std::chrono::steady_clock::now();
    const bool last = progress.index == progress.count;
    if (!last && now - shown_ < (terminal_ ? kTerminalStep : kLogStep)) return true;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    fmt::print(stderr, "{}{}/{} {:<28} {:.2f} of {:.2f} GB, {:.0f} s{}", terminal_ ? "\r" : "",
               progress.index, progress.count, progress.tensor, gigabytes(progress.done_bytes),
               gigabytes(progress.total_bytes), seconds, terminal_ && !last ? "" : "\n");
    return true;
  }

 private:
  static constexpr std::chrono::milliseconds kTerminalStep{100}, kLogStep{5000};
  const bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_ = start_;
};

void print_text(const QuantizeFlags& flags, const QuantizeResult& result) {
  fmt::print("{}: {}, {} tensors, {:.3f} billion weights\n", flags.options.out, result.architecture,
             result.tensors, static_cast<double>(result.parameters) / 1e9);
  std::string types;
  for (const auto& [name, count] : result.tensors_of_type) {
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, name);
  }
  fmt::print("types: {}\n", types);
  fmt::print("size: {:.3f} GB -> {:.3f} GB ({:.2f} bits a weight)\n", gigabytes(result.bytes_before),
             gigabytes(result.bytes_after),
             8 * static_cast<double>(result.bytes_after) / static_cast<double>(result.parameters));
  fmt::print("time: {:.1f} s\n", result.seconds);
  for (const std::string& note : result.notes) fmt::print("note: {}\n", note);
}

int run(QuantizeFlags flags) {
  if (const Status resolved = resolve_in_place(flags.options.in); !resolved.ok()) {
    return fail(resolved.error());
  }
  if (!flags.options.tokenizer.empty()) {
    const Status resolved = resolve_in_place(flags.options.tokenizer);
    if (!resolved.ok()) return fail(resolved.error());
  }
  catch_interrupts();
  ProgressLine line;
  const auto result =
      quantize(flags.options, [&](const QuantizeProgress& p) { return line.show(p) && !interrupted(); });
  if (!result.ok()) return fail(result.error());
  if (!flags.json) {
    print_text(flags, *result);
    return kOk;
  }
  print_json({{"out", flags.options.out},
              {"type", flags.options.type},
              {"pure", flags.options.pure},
              {"architecture", result->architecture},
              {"tensors", result->tensors},
              {"tensors_of_type", result->tensors_of_type},
              {"parameters", result->parameters},
              {"bytes_before", result->bytes_before},
              {"bytes_after", result->bytes_after},
              {"seconds", result->seconds},
              {"notes", result->notes}});
  return kOk;
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto flags = std::make_shared<QuantizeFlags>();
  CLI::App* command =
      add_command(app, "quantize", "write a GGUF file with quantised weights from a Hugging Face directory",
                  "  kakeya-llm quantize --in Qwen3-8B --out qwen3-8b-q4_k_m.gguf --type q4_k_m\n"
                  "  kakeya-llm quantize --in Qwen3-8B-DFlash-b16 --tokenizer Qwen3-8B --out draft-q8_0.gguf "
                  "--type q8_0\n");
  QuantizeOptions& options = flags->options;
  command->add_option("--in", options.in, "directory in Hugging Face layout (bf16, f16 or f32), or 'tiny'")
      ->required();
  command->add_option("--out", options.out, "GGUF file to write; an existing one is replaced at the end")
      ->required();
  command->add_option("--type", options.type, "q8_0, q4_0 or q4_k_m, mixed as llama.cpp mixes them")
      ->required();
  command->add_flag("--pure", options.pure, "one type for every matrix");
  command->add_option("--tokenizer", options.tokenizer,
                      "directory with the tokenizer, for drafts: their target's; default: --in");
  command->add_option("--threads", options.threads, "0 = every core this process may use")
      ->capture_default_str();
  command->add_flag("--json", flags->json, "print the result as one line of JSON");
  on_run(command, context, [flags] { return run(*flags); });
}

}  // namespace kakeya::cli
