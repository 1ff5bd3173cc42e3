// FINDINGS.md: what was asked, the answer in words, the table, how it was measured, what it is not.
#pragma once
#include <string>
#include <vector>

#include "acceptance/cell.h"

namespace kakeya::acceptance {

std::string findings_markdown(const Run& run);

// Shared with report.html: the expectation of the proposal (theory) and the paper's figures (published).
struct QuotedFigure {
  std::string what, kind, figures;
};
std::vector<QuotedFigure> quoted_figures();
// The command that repeats the run; DIR stands for the output directory.
std::string reproduce_command(const Run& run);
// What a reader must not conclude, sentence by sentence.
std::vector<std::string> limits(const Run& run);

}  // namespace kakeya::acceptance
