// Which text of a delta the draft proposed: runs for clients that show it.
#pragma once
#include "dialog/dialog.h"
#include "serve/json.h"

namespace kakeya::serve::openai {

// [[text, 1 or 0], ...]: the runs joined are the part's text. A character that several tokens make belongs to
// the last of them. Text that is not its tokens' own (special tokens, held back tags) is one run, 0.
Json drafted_runs(const dialog::AnswerPart& part, const Engine& engine);

}  // namespace kakeya::serve::openai
