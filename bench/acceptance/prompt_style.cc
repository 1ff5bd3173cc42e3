#include "acceptance/prompt_style.h"

#include <fmt/format.h>

namespace kakeya::acceptance {

const char* to_string(PromptStyle style) { return style == PromptStyle::kPlain ? "plain" : "reference"; }

PromptText prompt_text(const Problem& problem, PromptStyle style) {
  if (style == PromptStyle::kPlain) return {problem.prompt, problem.kind == TaskKind::kMath};
  if (problem.kind == TaskKind::kMath) {
    return {problem.prompt + "\nPlease reason step by step, and put your final answer within \\boxed{}.",
            true};
  }
  return {fmt::format("Write a solution to the following problem and make sure that it passes the tests:\n"
                      "```python\n{}\n```",
                      problem.prompt),
          true};
}

}  // namespace kakeya::acceptance
