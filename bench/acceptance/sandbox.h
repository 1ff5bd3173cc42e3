// Runs a model's program against published tests inside bubblewrap. Two sandboxes a problem: one runs the
// tests, the other the program; only arguments and values pass between them, so a program cannot see, skip or
// fake its tests. docs/formats/grading.md says what is allowed and what holds it.
#pragma once
#include <kakeya/result.h>

#include <string>

#include "acceptance/grade.h"

namespace kakeya::acceptance {

struct CodeJob {
  std::string program;  // what the model wrote, complete
  std::string setup;    // the published prompt: helpers that the tests may use
  std::string test, entry_point;
  std::string label;  // shown in the process list
};

// Errors when no verdict was possible: no bubblewrap, no Python, no user namespaces, or a problem that does
// not run itself.
Result<Grade> run_in_sandbox(const Grader& grader, const CodeJob& job);

}  // namespace kakeya::acceptance
