#include "serve/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kakeya::serve {
namespace {

// Why the answer was made without drafts, at its end; null when they were in use or not wanted.
Json fallback(const Completion& completion, const Context& context) {
  if (context.engine.draft() == nullptr) return "no_draft";
  if (completion.speculation != Speculation::kAuto) return nullptr;
  if (!completion.policy.changes.empty()) {
    const ModeChange& last = completion.policy.changes.back();
    return last.to_width <= 1 ? Json(to_string(last.reason)) : Json(nullptr);
  }
  return completion.cycles.empty() ? Json(nullptr) : Json("plain");
}

}  // namespace

void DraftCounts::add(const Completion& completion) {
  for (const Cycle& cycle : completion.cycles) {
    if (cycle.proposed == 0) continue;
    ++cycles;
    proposed += cycle.proposed;
    accepted += cycle.accepted;
    length += cycle.length();
    width = std::max<std::size_t>(width, cycle.proposed + 1);
  }
}

DraftCounts count_drafts(const Completion& completion) {
  DraftCounts counts;
  counts.add(completion);
  return counts;
}

Json kakeya_json(std::span<const dialog::Summary> summaries, const Context& context) {
  const dialog::Summary& first = summaries.front();
  const Completion& done = first.completion;
  DraftCounts drafts;
  for (const dialog::Summary& summary : summaries) drafts.add(summary.completion);
  Json out = {{"acceptance_length", nullptr},
              {"proposed", drafts.proposed},
              {"accepted", drafts.accepted},
              {"kv_channel", done.kv},
              {"draft_channel", done.draft_kv.empty() ? Json(nullptr) : Json(done.draft_kv)},
              {"verify_width", drafts.width},
              {"speculation", to_string(done.speculation)},
              {"fallback", fallback(done, context)},
              {"cached_tokens", done.usage.cached_tokens},
              {"slot", done.slot},
              {"seed", first.seed}};
  if (drafts.cycles > 0) {
    out["acceptance_length"] = static_cast<double>(drafts.length) / static_cast<double>(drafts.cycles);
  }
  if (!first.loosened.empty()) out["loosened"] = first.loosened;
  if (context.metrics.tripped()) {
    out["tripwire"] = {{"acceptance_length", context.metrics.rolling_acceptance()},
                       {"expected_at_least", context.options.tripwire}};
  }
  return out;
}

Json kakeya_json(const dialog::Summary& summary, const Context& context) {
  return kakeya_json(std::span(&summary, 1), context);
}

Json report_of(const dialog::AnswerPart& part, const Context& context) {
  return part.summary ? kakeya_json(*part.summary, context) : Json(nullptr);
}

}  // namespace kakeya::serve
