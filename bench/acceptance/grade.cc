#include "acceptance/grade.h"

#include <fmt/format.h>

#include "acceptance/sandbox.h"

namespace kakeya::acceptance {
namespace {

Grade grade_number(const Problem& problem, const std::string& output) {
  const std::string expected = final_number(problem.answer), found = final_number(output);
  return {!found.empty() && found == expected,
          fmt::format("expected {}, found {}", expected, found.empty() ? "no number" : found.substr(0, 60))};
}

}  // namespace

std::optional<std::string> sandbox_problem(const Grader& grader) {
  const CodeJob probe = {"def twice(n):\n    return 2 * n\n", "def twice(n):\n",
                         "def check(candidate):\n    assert candidate(2) == 4\n", "twice",
                         "kakeya sandbox probe"};
  const Result<Grade> result = run_in_sandbox(grader, probe);
  if (!result.ok()) return result.error().message;
  if (!result->correct) return "run code in the sandbox: a right program failed: " + result->detail;
  return std::nullopt;
}

Result<Grade> grade(const Grader& grader, const Problem& problem, const std::string& output) {
  if (problem.kind == TaskKind::kMath) return grade_number(problem, output);
  return run_in_sandbox(grader, {code_solution(problem, output), problem.prompt, problem.test,
                                 problem.entry_point, "kakeya " + problem.task_id});
}

}  // namespace kakeya::acceptance
