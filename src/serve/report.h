// "kakeya" in an answer: how its drafts went and what was in effect.
#pragma once
#include <span>

#include "dialog/dialog.h"
#include "serve/context.h"
#include "serve/json.h"

namespace kakeya::serve {

struct DraftCounts {
  std::size_t cycles = 0, proposed = 0, accepted = 0, length = 0, width = 1;
  void add(const Completion& completion);
};
DraftCounts count_drafts(const Completion& completion);

// Of all answers of one request: drafts are summed over them, the rest is the first one's. At least one.
Json kakeya_json(std::span<const dialog::Summary> summaries, const Context& context);
Json kakeya_json(const dialog::Summary& summary, const Context& context);
// Null for all parts but the last.
Json report_of(const dialog::AnswerPart& part, const Context& context);

}  // namespace kakeya::serve
