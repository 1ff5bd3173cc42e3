#include "cli/tune_measure.h"

#include <fmt/format.h>
#include <kakeya/codec.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

namespace kakeya::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUpTokens = 16;
constexpr std::size_t kLeastPrompts = 2, kLeastRounds = 2;

Error cancelled() { return {ErrorCode::kCancelled, "tune: interrupted, nothing written"}; }

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

// The modes to try, the plainest first: that one is taken where times do not tell them apart.
std::vector<ModeCell> modes_of(const Engine& engine, const TuneOptions& options) {
  std::vector<ModeCell> out = {{Speculation::kOff, 0, {}}};
  if (engine.draft() == nullptr) return out;
  out.push_back({Speculation::kAuto, 0, {}});
  std::vector<std::size_t> widths = options.widths;
  const std::size_t block = engine.draft()->block_size;
  for (std::size_t width = 2; options.widths.empty() && width < block; width *= 2) widths.push_back(width);
  if (options.widths.empty()) widths.push_back(block);
  std::ranges::sort(widths);
  for (const std::size_t width : widths) out.push_back({Speculation::kFixed, width, {}});
  return out;
}

Status warm_up(Session& session, const TuneOptions& options, const TunePrompts& prompts, std::size_t context,
               Speculation speculation, std::size_t width) {
  GenerateOptions warm = greedy(options, 1, speculation, width);
  warm.max_tokens = std::min(kWarmUpTokens, options.max_tokens);
  const std::vector<Token>& first = prompts.prompts[0].ids;
  if (first.size() + static_cast<std::size_t>(warm.max_tokens) > context) return {};
  KAKEYA_TRY(session.generate(first, warm));
  return {};
}

// Rounds of prompts, each with all cells in turn.
class Turns {
 public:
  Turns(const TurnRules& rules, const char* what, std::size_t cells, std::size_t prompts, TuneCourse& course)
      : rules_(rules), what_(what), cells_(cells), course_(course) {
    course_ = {};
    course_.prompts = prompts;
  }
  // `one` runs cell c on prompt p in round r; `done` asks after each round whether it is decided.
  template <class One, class Done>
  Status run(One&& one, Done&& done) {
    while (true) {
      KAKEYA_TRY(round(one));
      ++course_.rounds;
      course_.seconds = seconds();
      const bool told = done();
      if (told && course_.rounds >= kLeastRounds) return end("decided");
      if (course_.seconds >= rules_.seconds) return end("budget");
      if (course_.rounds >= rules_.most_rounds) return end("rounds");
    }
  }

 private:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  Status end(const char* why) {
    course_.ended = why;
    return {};
  }
  template <class One>
  Status round(One& one) {
    const std::size_t r = course_.rounds;
    for (std::size_t p = 0; p < course_.prompts; ++p) {
      if (r == 0 && p >= kLeastPrompts && seconds() >= rules_.seconds) {
        course_.prompts = p;  // a budget for fewer prompts than there are
        return {};
      }
      for (std::size_t i = 0; i < cells_; ++i) {
        const std::size_t turn = r % 2 == 0 ? i : cells_ - 1 - i;
        const std::string what = fmt::format("{}, round {}", what_, r + 1);
        if (!rules_.progress(what, p * cells_ + i, course_.prompts * cells_)) return cancelled();
        KAKEYA_TRY(one((turn + p + r) % cells_, p, r));
      }
    }
    return {};
  }

  const TurnRules& rules_;
  const char* what_;
  std::size_t cells_;
  TuneCourse& course_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

Result<std::vector<ChannelCell>> measure_channels(const Engine& engine, const TuneOptions& options,
                                                  const TunePrompts& prompts, const TurnRules& rules,
                                                  const ChannelQuestion& ask, TuneCourse& course) {
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
    KAKEYA_TRY(warm_up(*session, options, prompts, context, Speculation::kAuto, 0));
    sessions.push_back(std::move(session));
  }
  std::optional<Generation> reference;  // of the prompt at hand; bf16 is the first channel
  std::size_t reference_of = prompts.prompts.size();
  std::vector<bool> matter(cells.size(), true);
  const auto one = [&](std::size_t c, std::size_t p, std::size_t round) -> Status {
    if (!matter[c]) return {};
    const TunePrompt& prompt = prompts.prompts[p];
    const std::size_t room = context - prompt.ids.size();
    ChannelRun& run = cells[c].runs[p];
    if (round == 0 && reference_of != p) {
      KAKEYA_ASSIGN(reference,
                    sessions[0]->generate(prompt.ids, greedy(options, room, Speculation::kFixed, 0)));
      reference_of = p;
    }
    if (round == 0) KAKEYA_TRY(run_forced(engine, *sessions[c], prompt, *reference, run));
    KAKEYA_ASSIGN(const Generation own,
                  sessions[c]->generate(prompt.ids, greedy(options, room, Speculation::kAuto, 0)));
    run.ms.push_back(total_ms(own));
    run.tokens = own.ids.size();
    return {};
  };
  Turns turns(rules, "channels", cells.size(), prompts.prompts.size(), course);
  KAKEYA_TRY(turns.run(one, [&] {
    for (ChannelCell& cell : cells) cell.runs.resize(course.prompts);
    const ChannelState state = ask(cells);
    matter = state.matter;
    return state.decided;
  }));
  return cells;
}

Result<std::vector<ModeCell>> measure_modes(const Engine& engine, const TuneOptions& options,
                                            const std::string& kv, const TunePrompts& prompts,
                                            const TurnRules& rules, const ModeQuestion& ask,
                                            TuneCourse& course) {
  const std::size_t context = context_for(engine, options, prompts);
  std::vector<ModeCell> cells = modes_of(engine, options);
  KAKEYA_ASSIGN(const SessionPtr session, open_session(engine, options, kv, context));
  for (ModeCell& cell : cells) {
    cell.runs.resize(prompts.prompts.size());
    KAKEYA_TRY(warm_up(*session, options, prompts, context, cell.speculation, cell.width));
  }
  const auto one = [&](std::size_t c, std::size_t p, std::size_t round) -> Status {
    ModeCell& cell = cells[c];
    const std::vector<Token>& ids = prompts.prompts[p].ids;
    KAKEYA_ASSIGN(const Generation out, session->generate(ids, greedy(options, context - ids.size(),
                                                                      cell.speculation, cell.width)));
    ModeRun& run = cell.runs[p];
    run.ms.push_back(total_ms(out));
    run.tokens = out.ids.size();
    for (const Cycle& cycle : out.cycles) {
      if (round > 0 || cycle.proposed == 0) continue;
      ++run.cycles;
      run.accepted += cycle.accepted;
    }
    return {};
  };
  Turns turns(rules, "drafting", cells.size(), prompts.prompts.size(), course);
  KAKEYA_TRY(turns.run(one, [&] {
    for (ModeCell& cell : cells) cell.runs.resize(course.prompts);
    return ask(cells);
  }));
  return cells;
}

}  // namespace kakeya::cli
