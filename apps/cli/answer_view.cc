#include "cli/answer_view.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/session_json.h"

namespace kakeya::cli {
namespace {

using Kind = dialog::AnswerPart::Kind;
using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kPoll{50};  // how soon a Ctrl-C is seen

constexpr const char* kPlain = "\033[0m";
constexpr const char* kDim = "\033[2m";
constexpr const char* kDrafted = "\033[32m";
constexpr const char* kDimDrafted = "\033[2;32m";
// Where there is no colour.
constexpr const char* kOpen = "\u27e8";
constexpr const char* kClose = "\u27e9";

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

void keep(const dialog::AnswerPart& part, Answered& out) {
  if (part.kind == Kind::kStarted) {
    out.prompt_tokens = part.prompt_tokens;
    out.cached_tokens = part.cached_tokens;
  }
  if (part.kind != Kind::kContent && part.kind != Kind::kReasoning) return;
  if (out.content.empty() && out.reasoning.empty()) out.first_ms = part.elapsed_ms;
  (part.kind == Kind::kContent ? out.content : out.reasoning) += part.text;
  out.ids.insert(out.ids.end(), part.ids.begin(), part.ids.end());
  out.drafted.insert(out.drafted.end(), part.drafted.begin(), part.drafted.end());
}

}  // namespace

bool wants_colour(const std::string& when) {
  if (when != "auto") return when == "always";
  const char* refused = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) != 0 && (refused == nullptr || *refused == '\0');
}

void MarkedText::style(bool drafted, bool dim) {
  if (drafted == drafted_ && dim == dim_) return;
  if (colour_) {
    const char* code = drafted ? (dim ? kDimDrafted : kDrafted) : kDim;
    fmt::print("{}{}", kPlain, drafted || dim ? code : "");
  } else if (drafted != drafted_) {
    fmt::print("{}", drafted ? kOpen : kClose);
  }
  drafted_ = drafted;
  dim_ = dim;
}

void MarkedText::write(const dialog::AnswerPart& part, bool dim) {
  if (!marked_) {
    style(false, dim);
    fmt::print("{}", part.text);
    return;
  }
  for (std::size_t i = 0; i < part.ids.size(); ++i) {
    const bool drafted = i < part.drafted.size() && part.drafted[i] != 0;
    pending_.push_back({engine_.token_bytes(part.ids[i]), drafted});
  }
  std::size_t at = 0;
  while (at < part.text.size()) {
    while (!pending_.empty() && pending_.front().bytes.empty()) pending_.pop_front();
    if (pending_.empty()) break;
    Piece& piece = pending_.front();
    std::size_t n = 0;
    while (n < piece.bytes.size() && at + n < part.text.size() && piece.bytes[n] == part.text[at + n]) ++n;
    if (n == 0) break;  // white space was dropped between tokens: start again with the next part
    if (!continues_character(part.text[at])) style(piece.drafted, dim);
    fmt::print("{}", std::string_view(part.text).substr(at, n));
    piece.bytes.erase(0, n);
    at += n;
  }
  if (at == part.text.size()) return;
  pending_.clear();
  if (!continues_character(part.text[at])) style(false, dim);
  fmt::print("{}", std::string_view(part.text).substr(at));
}

void MarkedText::close() {
  style(false, false);
  pending_.clear();
}

Result<Answered> follow(const Engine& engine, dialog::Reply& reply, const ViewOptions& options) {
  MarkedText text(engine, options.acceptance, options.colour);
  Answered out;
  bool reasoned = false, cancelled = false;
  while (true) {
    if (!cancelled && interrupted()) {
      reply.cancel();
      cancelled = true;
    }
    const auto part = reply.next(kPoll);
    if (!part) continue;
    keep(*part, out);
    if (part->kind == Kind::kFailed || part->kind == Kind::kFinished) {
      if (options.show) text.close();
      std::fflush(stdout);
      if (part->kind == Kind::kFailed) return part->error;
      out.summary = *part->summary;
      return out;
    }
    if (!options.show) continue;
    if (part->kind == Kind::kReasoning && options.reasoning) {
      text.write(*part, options.colour);
      reasoned = true;
    } else if (part->kind == Kind::kContent) {
      if (std::exchange(reasoned, false)) {
        text.close();
        fmt::print("\n\n");
      }
      text.write(*part, false);
    }
    std::fflush(stdout);
  }
}

CycleSums sum_cycles(const std::vector<Cycle>& cycles) {
  CycleSums out;
  double emitted = 0;
  for (const Cycle& cycle : cycles) {
    if (cycle.proposed == 0) continue;  // a plain step
    ++out.cycles;
    out.proposed += cycle.proposed;
    out.accepted += cycle.accepted;
    emitted += cycle.length();
  }
  if (out.cycles > 0) out.acceptance_length = emitted / static_cast<double>(out.cycles);
  return out;
}

double tokens_per_second(const Completion& completion) {
  const double decoded =
      static_cast<double>(completion.usage.output_tokens) - 1;  // the first is the prompt's
  return completion.usage.decode_ms > 0 && decoded > 0 ? decoded * 1000 / completion.usage.decode_ms : 0;
}

std::string stats_line(const Answered& answer, std::size_t kv_bytes) {
  const Completion& done = answer.summary.completion;
  const Usage& usage = done.usage;
  std::string out =
      fmt::format("[{} prompt tokens ({} cached), {} tokens, {}; first after {:.0f} ms, then {:.1f} tokens/s",
                  usage.prompt_tokens, usage.cached_tokens, usage.output_tokens, to_string(done.finish),
                  usage.prefill_ms + usage.queued_ms, tokens_per_second(done));
  const CycleSums sums = sum_cycles(done.cycles);
  if (sums.cycles > 0) {
    out += fmt::format("; {} of {} drafted tokens accepted, acceptance length {:.2f}", sums.accepted,
                       sums.proposed, sums.acceptance_length);
  } else if (!done.draft_kv.empty()) {
    out += "; no drafts in this answer";
  }
  out += fmt::format("; KV {}{}: {:.1f} kB]", done.kv, done.draft_kv.empty() ? "" : " and the draft's",
                     static_cast<double>(kv_bytes) / 1000);
  return out;
}

Json answer_json(const Engine& engine, const Answered& answer, std::size_t kv_bytes) {
  const Completion& done = answer.summary.completion;
  const Usage& usage = done.usage;
  const CycleSums sums = sum_cycles(done.cycles);
  Json lengths = Json::array();
  for (const Cycle& cycle : done.cycles) lengths.push_back(cycle.length());
  Json out = {{"target", engine.target().id},
              {"draft", engine.draft() != nullptr ? Json(engine.draft()->id) : Json()},
              {"text", answer.content},
              {"reasoning", answer.reasoning.empty() ? Json() : Json(answer.reasoning)},
              {"finish_reason", to_string(done.finish)},
              {"stop_string", done.stop_string.empty() ? Json() : Json(done.stop_string)},
              {"output_ids", answer.ids},
              {"drafted", answer.drafted},
              {"seed", answer.summary.seed},
              {"kv", done.kv},
              {"draft_kv", done.draft_kv.empty() ? Json() : Json(done.draft_kv)},
              {"kv_bytes", kv_bytes},
              {"speculation", to_string(done.speculation)},
              {"policy", done.speculation == Speculation::kAuto ? policy_json(done.policy) : Json()}};
  out["usage"] = {{"prompt_tokens", usage.prompt_tokens},
                  {"cached_tokens", usage.cached_tokens},
                  {"output_tokens", usage.output_tokens},
                  {"reasoning_tokens", answer.summary.reasoning_tokens}};
  out["timings"] = {{"ttft_ms", usage.queued_ms + usage.prefill_ms},
                    {"prefill_ms", usage.prefill_ms},
                    {"decode_ms", usage.decode_ms},
                    {"tokens_per_s", tokens_per_second(done)}};
  out["acceptance"] = {{"lengths", std::move(lengths)},
                       {"cycles_with_drafts", sums.cycles},
                       {"proposed", sums.proposed},
                       {"accepted", sums.accepted},
                       {"acceptance_length", sums.cycles > 0 ? Json(sums.acceptance_length) : Json()}};
  return out;
}

}  // namespace kakeya::cli
