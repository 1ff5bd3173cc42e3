// Every published solution must pass and none may pass empty. Slow: about 500 sandboxes (ctest label slow).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "acceptance/dataset.h"
#include "acceptance/grade.h"

namespace kakeya::acceptance {
namespace {

// Wrong bodies for any function.
constexpr const char* kWrong[] = {"    pass\n", "    raise SystemExit(0)\n", "    return '\\x00 no'\n"};

void grade_all(const std::string& name, const DatasetOptions& options) {
  const auto set = load_dataset(name, options);
  ASSERT_TRUE(set.ok()) << set.error().message;
  std::atomic<std::size_t> next = 0, graded = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < set->problems.size(); i = next++) {
      const Problem& problem = set->problems[i];
      const auto right = grade({}, problem, problem.solution);
      EXPECT_TRUE(right.ok() && right->correct)
          << problem.task_id << ": " << (right.ok() ? right->detail : right.error().message);
      const auto chat =
          grade({}, problem, "Sure:\n```python\n" + problem.prompt + problem.solution + "```\n");
      EXPECT_TRUE(chat.ok() && chat->correct)
          << problem.task_id << " as chat: " << (chat.ok() ? chat->detail : chat.error().message);
      const auto wrong = grade({}, problem, kWrong[i % std::size(kWrong)]);
      EXPECT_TRUE(wrong.ok() && !wrong->correct)
          << problem.task_id << " passes with " << kWrong[i % std::size(kWrong)];
      ++graded;
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(graded, set->n_available);
}

TEST(SlowGrade, AllPyMiniSolutionsPassAndWrongOnesFail) {
  if (const auto problem = sandbox_problem({})) GTEST_SKIP() << *problem;
  DatasetOptions options;
  options.share_dir = KAKEYA_SOURCE_DIR;
  options.n_samples = 1000;
  grade_all("py-mini", options);
}

TEST(SlowGrade, AllHumanEvalSolutionsPassAndWrongOnesFail) {
  if (const auto problem = sandbox_problem({})) GTEST_SKIP() << *problem;
  const char* shared = std::getenv("KAKEYA_SHARED");
  DatasetOptions options;
  options.data_dir = std::string(shared != nullptr ? shared : KAKEYA_SOURCE_DIR "/../shared") + "/data";
  options.n_samples = 1000;
  options.allow_network = false;
  if (!std::filesystem::exists(options.data_dir + "/humaneval/HumanEval.jsonl.gz")) {
    GTEST_SKIP() << options.data_dir << "/humaneval/HumanEval.jsonl.gz is not there; set KAKEYA_SHARED";
  }
  grade_all("humaneval", options);
}

}  // namespace
}  // namespace kakeya::acceptance
