#include "acceptance/dataset_synthetic.h"

#include <fmt/format.h>

namespace kakeya::acceptance {
namespace {

constexpr int kRecords = 64;

std::string math_record(int i) {
  const int a = 3 + 7 * i, b = 2 + i % 9, c = 1 + i % 5;
  return fmt::format(
      "{{\"question\": \"A shelf has {} books. {} more are added and then {} are taken away. How many books "
      "are on the "
      "shelf?\", \"answer\": \"There are {} + {} = {} books after adding.\\nThen {} - {} = {} books are "
      "left.\\n#### {}\"}}\n",
      a, b, c, a, b, a + b, a + b, c, a + b - c, a + b - c);
}

std::string code_record(int i) {
  const int k = i + 1;
  return fmt::format(
      "{{\"task_id\": \"synthetic/{}\", \"prompt\": \"def add_{}(n):\\n    \\\"\\\"\\\"Return n plus "
      "{}.\\n\\n    >>> "
      "add_{}(1)\\n    {}\\n    \\\"\\\"\\\"\\n\", \"entry_point\": \"add_{}\", \"canonical_solution\": \"   "
      " return n + "
      "{}\\n\", \"test\": \"def check(candidate):\\n    assert candidate(0) == {}\\n    assert candidate({}) "
      "== {}\\n\"}}\n",
      i, k, k, k, k + 1, k, k, k, 10 * k, 11 * k);
}

}  // namespace

std::string synthetic_jsonl(TaskKind kind) {
  std::string text;
  for (int i = 0; i < kRecords; ++i) text += kind == TaskKind::kMath ? math_record(i) : code_record(i);
  return text;
}

}  // namespace kakeya::acceptance
