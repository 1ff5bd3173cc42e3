// How a problem becomes the text that the model sees.
#pragma once
#include <string>

#include "acceptance/bench_engine.h"
#include "acceptance/dataset.h"

namespace kakeya::acceptance {

struct PromptText {
  std::string text;
  bool chat =
      true;  // one user turn through the model's template, thinking off; else raw text to be continued
};

// plain: maths as the question alone, code as a raw completion. reference: the wording of the benchmark
// script that the published DFlash numbers come from, both as a user turn.
PromptText prompt_text(const Problem& problem, PromptStyle style);

}  // namespace kakeya::acceptance
