#include "cli/tune_measure.h"

#include <fmt/format.h>
#include <kakeya/chat.h>
#include <kakeya/codec.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "acceptance/dataset.h"
#include "acceptance/files.h"
#include "acceptance/prompt_style.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxPromptBytes = std::size_t{64} << 20;
constexpr int kWarmUpTokens = 16;

Error cancelled() { return {ErrorCode::kCancelled, "tune: interrupted, nothing written"}; }

Result<std::vector<Token>> chat_ids(const Engine& engine, const std::string& text) {
  ChatRequest request;
  request.messages.push_back({"user", text, {}, {}});
  if (engine.template_family() == "qwen3") request.enable_thinking = false;
  return engine.encode_chat(request);
}

// The text of one line of the user's file.
Result<std::string> line_text(const std::string& path, std::size_t number, const std::string& line) {
  if (line.front() != '{') return line;
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_object() && json.contains("prompt") && json["prompt"].is_string()) {
    return json["prompt"].get<std::string>();
  }
  return corrupt_data(
      fmt::format("read {}: line {}: expected a text, or a JSON object with \"prompt\"", path, number));
}

Status add_file(const Engine& engine, const TuneOptions& options, TunePrompts& out) {
  out.source = options.prompts_file;
  KAKEYA_ASSIGN(const std::string text, acceptance::read_whole_file(options.prompts_file, kMaxPromptBytes));
  std::istringstream lines(text);
  std::string line, all;
  for (std::size_t number = 1; std::getline(lines, line) && out.prompts.size() < options.samples; ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    KAKEYA_ASSIGN(const std::string prompt, line_text(options.prompts_file, number, line));
    all += prompt + "\n";
    TunePrompt item{fmt::format("line {}", number), {}};
    KAKEYA_ASSIGN(item.ids, chat_ids(engine, prompt));
    out.prompts.push_back(std::move(item));
  }
  if (out.prompts.empty())
    return corrupt_data(fmt::format("read {}: no prompts, expected one a line", out.source));
  out.sha256 = acceptance::sha256_text(all);
  return {};
}

Status add_embedded(const Engine& engine, const TuneOptions& options, TunePrompts& out) {
  out.source = "embedded: gsm-mini, py-mini";
  acceptance::DatasetOptions from;
  KAKEYA_ASSIGN(from.share_dir, find_share_dir(""));
  from.allow_network = false;
  from.seed = options.seed;
  std::string all;
  for (const char* name : {"gsm-mini", "py-mini"}) {
    from.n_samples = name[0] == 'g' ? options.samples - options.samples / 2 : options.samples / 2;
    if (from.n_samples == 0) continue;
    KAKEYA_ASSIGN(const acceptance::Dataset set, acceptance::load_dataset(name, from));
    for (const acceptance::Problem& problem : set.problems) {
      const acceptance::PromptText text = acceptance::prompt_text(problem, acceptance::PromptStyle::kPlain);
      all += text.text + "\n";
      TunePrompt item{problem.task_id, {}};
      KAKEYA_ASSIGN(item.ids, text.chat ? chat_ids(engine, text.text) : engine.encode(text.text, false));
      out.prompts.push_back(std::move(item));
    }
  }
  out.sha256 = acceptance::sha256_text(all);
  return {};
}

std::size_t context_for(const Engine& engine, const TuneOptions& options, const TunePrompts& prompts) {
  std::size_t longest = 0;
  for (const TunePrompt& prompt : prompts.prompts) longest = std::max(longest, prompt.ids.size());
  return std::min(engine.target().max_position_embeddings,
                  longest + static_cast<std::size_t>(options.max_tokens));
}

using SessionPtr = std::unique_ptr<Session>;

Result<SessionPtr> open_session(const Engine& engine, const TuneOptions& options, const std::string& kv,
                                std::size_t context) {
  SessionOptions session;
  session.kv = kv;
  session.draft_kv = options.draft_kv;
  session.max_tokens = context;
  return engine.new_session(session);
}

GenerateOptions greedy(const TuneOptions& options, std::size_t room, Speculation speculation,
                       std::size_t width) {
  GenerateOptions out;
  out.max_tokens =
      static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(options.max_tokens), room));
  out.speculation = speculation;
  out.verify_width = width;
  return out;
}

double total_ms(const Generation& out) { return out.timings.ttft_ms + out.timings.decode_ms; }

Status run_forced(const Engine& engine, Session& session, const TunePrompt& prompt,
                  const Generation& reference, ChannelRun& run) {
  std::vector<std::size_t> anchors;
  std::size_t at = 0;
  for (const Cycle& cycle : reference.cycles) {
    if (at + 1 < reference.ids.size()) anchors.push_back(at);
    at += cycle.emitted;
  }
  if (engine.draft() == nullptr) anchors.clear();
  ForcedRequest request;
  request.prompt = prompt.ids;
  request.reference = reference.ids;
  request.anchors = anchors;
  KAKEYA_ASSIGN(const ForcedResult forced, session.forced_reference(request));
  for (const ForcedAnchor& anchor : forced.anchors) {
    run.proposed += anchor.proposed;
    run.accepted += anchor.accepted;
  }
  run.positions = forced.positions;
  run.top1_agree = forced.top1_agree;
  run.kl_sum = forced.kl_sum;
  return {};
}

// The modes to try, the usual one first.
std::vector<ModeCell> modes_of(const Engine& engine, const TuneOptions& options) {
  std::vector<ModeCell> out;
  if (engine.draft() != nullptr) {
    out.push_back({Speculation::kAuto, 0, {}});
    std::vector<std::size_t> widths = options.widths;
    const std::size_t block = engine.draft()->block_size;
    for (std::size_t width = 2; options.widths.empty() && width < block; width *= 2) widths.push_back(width);
    if (options.widths.empty()) widths.push_back(block);
    for (const std::size_t width : widths) out.push_back({Speculation::kFixed, width, {}});
  }
  out.push_back({Speculation::kOff, 0, {}});
  return out;
}

}  // namespace

Result<TunePrompts> load_prompts(const Engine& engine, const TuneOptions& options) {
  TunePrompts out;
  KAKEYA_TRY(options.prompts_file.empty() ? add_embedded(engine, options, out)
                                          : add_file(engine, options, out));
  const std::size_t context = engine.target().max_position_embeddings;
  for (const TunePrompt& prompt : out.prompts) {
    if (prompt.ids.size() + 2 <= context) continue;
    return Error{ErrorCode::kContextOverflow,
                 fmt::format("{}: {} has {} tokens, expected at most {}, two fewer than the context",
                             out.source, prompt.id, prompt.ids.size(), context - 2)};
  }
  return out;
}

Result<std::vector<ChannelCell>> measure_channels(const Engine& engine, const TuneOptions& options,
                                                  const TunePrompts& prompts, const TuneProgress& progress) {
  const std::size_t context = context_for(engine, options, prompts);
  const ModelInfo& target = engine.target();
  std::vector<ChannelCell> cells;
  std::vector<SessionPtr> sessions;
  for (const std::string& name : options.channels) {
    KAKEYA_ASSIGN(const ChannelInfo info, channel_info(name, target.head_dim));
    const double vectors = 2.0 * static_cast<double>(target.layers) * static_cast<double>(target.kv_heads);
    cells.push_back({name, info.bits_allocated, info.bits_allocated / 8 * vectors, {}});
    cells.back().runs.resize(prompts.prompts.size());
    KAKEYA_ASSIGN(SessionPtr session, open_session(engine, options, name, context));
    GenerateOptions warm = greedy(options, 1, Speculation::kAuto, 0);
    warm.max_tokens = std::min(kWarmUpTokens, options.max_tokens);
    if (prompts.prompts[0].ids.size() + static_cast<std::size_t>(warm.max_tokens) <= context) {
      KAKEYA_TRY(session->generate(prompts.prompts[0].ids, warm));
    }
    sessions.push_back(std::move(session));
  }
  std::size_t done = 0;
  for (std::size_t p = 0; p < prompts.prompts.size(); ++p) {
    const TunePrompt& prompt = prompts.prompts[p];
    const std::size_t room = context - prompt.ids.size();
    // bf16 is the first channel.
    KAKEYA_ASSIGN(const Generation reference,
                  sessions[0]->generate(prompt.ids, greedy(options, room, Speculation::kFixed, 0)));
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::size_t c = (i + p) % cells.size();
      if (!progress("channels", done++, cells.size() * prompts.prompts.size())) return cancelled();
      ChannelRun& run = cells[c].runs[p];
      KAKEYA_TRY(run_forced(engine, *sessions[c], prompt, reference, run));
      KAKEYA_ASSIGN(const Generation own,
                    sessions[c]->generate(prompt.ids, greedy(options, room, Speculation::kAuto, 0)));
      run.ms = total_ms(own);
      run.tokens = own.ids.size();
    }
  }
  return cells;
}

Result<std::vector<ModeCell>> measure_modes(const Engine& engine, const TuneOptions& options,
                                            const std::string& kv, const TunePrompts& prompts,
                                            const TuneProgress& progress) {
  const std::size_t context = context_for(engine, options, prompts);
  std::vector<ModeCell> cells = modes_of(engine, options);
  KAKEYA_ASSIGN(const SessionPtr session, open_session(engine, options, kv, context));
  for (ModeCell& cell : cells) cell.runs.resize(prompts.prompts.size());
  std::size_t done = 0;
  for (std::size_t p = 0; p < prompts.prompts.size(); ++p) {
    const TunePrompt& prompt = prompts.prompts[p];
    for (std::size_t i = 0; i < cells.size(); ++i) {
      ModeCell& cell = cells[(i + p) % cells.size()];
      if (!progress("drafting", done++, cells.size() * prompts.prompts.size())) return cancelled();
      KAKEYA_ASSIGN(const Generation out,
                    session->generate(prompt.ids, greedy(options, context - prompt.ids.size(),
                                                         cell.speculation, cell.width)));
      ModeRun& run = cell.runs[p];
      run.ms = total_ms(out);
      run.tokens = out.ids.size();
      for (const Cycle& cycle : out.cycles) {
        if (cycle.proposed == 0) continue;
        ++run.cycles;
        run.accepted += cycle.accepted;
      }
    }
  }
  return cells;
}

}  // namespace kakeya::cli
