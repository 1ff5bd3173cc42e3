// Is an answer right? Maths: exact match of the final number. Code: the published tests, run in a sandbox.
#pragma once
#include <kakeya/result.h>

#include <optional>
#include <string>

#include "acceptance/dataset.h"

namespace kakeya::acceptance {

struct Grader {
  // Path of bubblewrap and Python; empty = looked up: PATH, and for Python /usr/bin/python3 first.
  std::string bwrap, python;
  double time_limit_s = 10;
  std::size_t memory_limit_bytes = std::size_t{512} << 20;
};

// Why code cannot be graded here ("bubblewrap is not installed: apt install bubblewrap"), or nothing when it
// can.
std::optional<std::string> sandbox_problem(const Grader& grader);

struct Grade {
  bool correct = false;
  std::string detail;  // "expected 18, found 17", "timed out after 10 s", "AssertionError"
};
// Errors only when grading itself failed; a wrong or hostile answer is a Grade.
Result<Grade> grade(const Grader& grader, const Problem& problem, const std::string& output);

// "1,234.50" -> "1234.5": the number of the last "####" line, else of the last \boxed{}, else the last number
// at all. Thinking is skipped. 1/2 = 0.5; 1/3 stays "1/3". Empty = none.
std::string final_number(const std::string& output);
// The program to run for a kCode problem: prompt + completion cut at the first line that leaves the function,
// or the first ```python block of a chat answer.
std::string code_solution(const Problem& problem, const std::string& output);

}  // namespace kakeya::acceptance
