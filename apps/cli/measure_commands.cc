// kakeya-llm logits and perplexity: numbers to compare with other implementations.
#include <fmt/format.h>
#include <kakeya/session.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "cli/commands.h"
#include "cli/model_setup.h"

namespace kakeya::cli {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;

struct LogitFlags {
  EngineFlags engine;
  SessionOptions session;
  std::string ids, rows = "last", out;
  bool taps = false;
};

// A float32 array in NumPy's format, version 1.0.
std::string npy(const std::vector<float>& values, std::size_t rows, std::size_t cols) {
  static_assert(std::endian::native == std::endian::little);
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, cols);
  constexpr std::size_t kPrefix = 10, kAlign = 64;
  header.append((kAlign - (kPrefix + header.size() + 1) % kAlign) % kAlign, ' ');
  header += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  const std::size_t start = out.size();
  out.resize(start + values.size() * sizeof(float));
  std::memcpy(out.data() + start, values.data(), values.size() * sizeof(float));
  return out;
}

// "x.npy" -> "x.taps.npy"
std::string taps_path(const std::string& path) {
  const bool ends = path.size() > 4 && path.compare(path.size() - 4, 4, ".npy") == 0;
  return (ends ? path.substr(0, path.size() - 4) : path) + ".taps.npy";
}

int run_logits(const LogitFlags& flags, const Context& context) {
  if (flags.taps && flags.engine.draft.empty()) {
    return fail(
        invalid_argument("--taps writes the states of the layers a draft taps, and there is no draft"),
        "add --draft DIRECTORY, or --draft tiny with the embedded pair");
  }
  const auto ids = read_ids(flags.ids);
  if (!ids.ok()) return fail(ids.error());
  const auto engine = open_engine(flags.engine, context);
  if (!engine.ok()) return fail(engine.error());
  const auto session = (*engine)->new_session(flags.session);
  if (!session.ok()) return fail(session.error(), channel_step(flags.session, **engine));
  const auto selection = flags.rows == "all" ? LogitSelection::kAll : LogitSelection::kLast;
  const auto result = (*session)->logits(*ids, selection, flags.taps);
  if (!result.ok()) return fail(result.error());
  std::vector<acceptance::OutputFile> files = {{flags.out, npy(result->logits, result->rows, result->vocab)}};
  if (flags.taps)
    files.push_back({taps_path(flags.out), npy(result->taps, result->tap_rows, result->tap_width)});
  const Status written = acceptance::write_files(files);
  return written.ok() ? kOk : fail(written.error());
}

struct PerplexityFlags {
  EngineFlags engine;
  SessionOptions session;
  std::string file;
  std::size_t ctx = 0;
  bool json = false;
};

int run_perplexity(const PerplexityFlags& flags, const Context& context) {
  const auto text = acceptance::read_whole_file(flags.file, kMaxTextBytes);
  if (!text.ok()) return fail(text.error());
  const auto engine = open_engine(flags.engine, context);
  if (!engine.ok()) return fail(engine.error());
  const auto ids = (*engine)->encode(*text, false);
  if (!ids.ok()) return fail(ids.error());
  const auto session = (*engine)->new_session(flags.session);
  if (!session.ok()) return fail(session.error(), channel_step(flags.session, **engine));
  if (ids->size() < 2) {
    return fail(corrupt_data(
        fmt::format("{}: {} tokens, expected at least 2: the first is not scored", flags.file, ids->size())));
  }
  const auto result = (*session)->perplexity(*ids, flags.ctx);
  if (!result.ok()) return fail(result.error());
  const double nll = result->nll_sum / static_cast<double>(result->tokens);
  const std::size_t ctx = flags.ctx == 0 ? (*engine)->target().max_position_embeddings : flags.ctx;
  if (flags.json) {
    print_json({{"file", flags.file},
                {"kv", flags.session.kv},
                {"ctx", ctx},
                {"tokens", result->tokens},
                {"nll", nll},
                {"perplexity", std::exp(nll)}});
  } else {
    fmt::print("perplexity {:.4f} ({:.4f} nats a token, {} tokens scored, windows of {}, KV {})\n",
               std::exp(nll), nll, result->tokens, ctx, flags.session.kv);
  }
  return kOk;
}

void add_kv_flags(CLI::App* command, SessionOptions& session) {
  command->add_option("--kv", session.kv, "KV channel of the target; 'codec list' shows them")
      ->capture_default_str();
  command->add_option("--boundary", session.boundary, "first and last layers whose KV stays bf16")
      ->capture_default_str();
}

}  // namespace

void add_logits(CLI::App& app, Context& context) {
  auto flags = std::make_shared<LogitFlags>();
  CLI::App* command = add_command(
      app, "logits", "Write float32 logits (and tapped states) as .npy",
      "  kakeya-llm logits --target tiny --ids 4065,317,198 --rows all --out logits.npy\n"
      "  kakeya-llm logits --target tiny --draft tiny --ids ids.json --taps --out x.npy   # and x.taps.npy");
  add_engine_flags(command, flags->engine);
  add_kv_flags(command, flags->session);
  command->add_option("--ids", flags->ids, "token ids: 1,2,3 or a file with such a list or a JSON array")
      ->required();
  command->add_option("--rows", flags->rows, "'last': after the last token; 'all': after every token")
      ->check(CLI::IsMember({"last", "all"}))
      ->capture_default_str();
  command->add_flag(
      "--taps", flags->taps,
      "also write the states of the layers that --draft taps, [tokens, taps * hidden], beside FILE.npy as "
      "FILE.taps.npy");
  command->add_option("--out", flags->out, "FILE.npy, [rows, vocabulary]; written whole or not at all")
      ->required();
  on_run(command, context, [flags, &context] { return run_logits(*flags, context); });
}

void add_perplexity(CLI::App& app, Context& context) {
  auto flags = std::make_shared<PerplexityFlags>();
  CLI::App* command =
      add_command(app, "perplexity", "Perplexity of a text, in windows",
                  "  kakeya-llm perplexity --target tiny --file notes.txt\n"
                  "  kakeya-llm perplexity --target tiny --file notes.txt --kv e8-q10 --ctx 512 --json");
  add_engine_flags(command, flags->engine);
  command->remove_option(command->get_option("--draft"));
  add_kv_flags(command, flags->session);
  command->add_option("--file", flags->file, "UTF-8 text; special tokens in it are ordinary text")
      ->required();
  command->add_option("--ctx", flags->ctx,
                      "tokens a window, its first is not scored; 0 = the model's context");
  command->add_flag("--json", flags->json, "one JSON object");
  on_run(command, context, [flags, &context] { return run_perplexity(*flags, context); });
}

}  // namespace kakeya::cli
