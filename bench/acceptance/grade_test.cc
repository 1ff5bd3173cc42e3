#include "acceptance/grade.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "acceptance/dataset.h"

namespace kakeya::acceptance {
namespace {

using ::testing::HasSubstr;

struct Text {
  const char *output, *number;
};

class FinalNumber : public ::testing::TestWithParam<Text> {};

TEST_P(FinalNumber, IsReadAsAPersonWould) { EXPECT_EQ(final_number(GetParam().output), GetParam().number); }

INSTANTIATE_TEST_SUITE_P(
    Marked, FinalNumber,
    ::testing::Values(Text{"a\n#### 18", "18"}, Text{"#### 18.", "18"}, Text{"####18", "18"},
                      Text{"#### $1,234.50", "1234.5"}, Text{"#### 18.0", "18"}, Text{"#### -5", "-5"},
                      Text{"#### \xE2\x88\x92"
                           "5",
                           "-5"},
                      Text{"#### $-5", "-5"}, Text{"#### -$5", "-5"}, Text{"#### 50%", "50"},
                      Text{"#### 7 apples and more", "7"}, Text{"#### 1/2", "0.5"}, Text{"#### 12/4", "3"},
                      Text{"#### 1/3", "1/3"}, Text{"#### 2/6", "1/3"}, Text{"#### **18**", "18"},
                      Text{"#### $\\boxed{18}$", "18"}, Text{"#### Answer: 18", "18"},
                      Text{"#### The answer is $18", "18"}, Text{"#### 1,234,567", "1234567"},
                      Text{"#### 007", "7"}, Text{"#### .5", "0.5"}, Text{"#### -0", "0"},
                      Text{"####\n18\n", "18"}, Text{"5 and 6\n#### 18\nbye 99", "18"},
                      Text{"#### 3\nNo wait\n#### 4", "4"},
                      Text{"\xE2\x82\xAC 9\n#### \xE2\x82\xAC"
                           "12",
                           "12"}));

INSTANTIATE_TEST_SUITE_P(
    Headings, FinalNumber,
    ::testing::Values(Text{"#### 1. Add\n2 + 2 = 4\n#### 2) Then halve\nSo \\boxed{2}, not 9", "2"},
                      Text{"#### Step 1: add\nThe total is 30.", "30"},
                      Text{"#### Step 1\n2+2\n#### 4", "4"}));

INSTANTIATE_TEST_SUITE_P(Boxed, FinalNumber,
                         ::testing::Values(Text{"\\boxed{18} of 20", "18"},
                                           Text{"\\boxed{1} then \\boxed{x = 18 \\text{ m}^2} 5", "18"},
                                           Text{"\\boxed{\\frac{1}{2}}", "0.5"},
                                           Text{"\\boxed{\\$1{,}234}", "1234"},
                                           Text{"\\boxed{\\dfrac{3}{4}} 8", "0.75"},
                                           Text{"\\boxed{no} 8", "8"}, Text{"\\boxed{18", "18"}));

INSTANTIATE_TEST_SUITE_P(
    Last, FinalNumber,
    ::testing::Values(Text{"He has 3 + 4 = 7 apples.", "7"}, Text{"10-5", "5"}, Text{"It is 2,500.", "2500"},
                      Text{"between 18,20", "20"}, Text{"on 1/2/2020", "2020"}, Text{"7 is 1/0", "0"},
                      Text{"3.50 dollars", "3.5"}, Text{"(5) -7", "-7"}, Text{"12 (or -3)", "-3"},
                      Text{"<think>maybe 5, #### 6</think>It is 7.", "7"}, Text{"<think>maybe 5</think>", ""},
                      Text{"", ""}, Text{"none", ""}, Text{"####", ""}, Text{"$", ""}, Text{"-", ""},
                      Text{"\\boxed{", ""}, Text{"\\frac{1}{", "1"},
                      Text{"99999999999999999999999999", "99999999999999999999999999"},
                      Text{"1/99999999999999999999999", "99999999999999999999999"}));

TEST(FinalNumber, SurvivesAnyBytes) {
  std::mt19937 random(7);
  const std::string pieces[] = {"####", "\\boxed{", "\\frac{", "}{",       "}",  "{,}", "1", "/",   ".",
                                ",",    "-",        "$",       "\xE2\x88", "\n", " ",   "a", "\xff"};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (unsigned n = random() % 12; n > 0; --n) text += pieces[random() % std::size(pieces)];
    const std::string number = final_number(text);
    EXPECT_EQ(final_number(number), number) << text;
  }
}

TEST(FinalNumber, HostileTextTakesLinearTime) {
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string piece :
       {"#### ", "####\n", "\\frac{", "\\frac{1}{", "{,}", "1,111", "-$", "1/", "\\boxed{"}) {
    std::string text;
    while (text.size() < (1u << 20)) text += piece;
    EXPECT_LT(final_number(text).size(), text.size() + 2);
  }
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
            10);  // quadratic takes hours
}

TEST(Grade, MathsIsExactMatchOfTheNumber) {
  Problem problem;
  problem.kind = TaskKind::kMath;
  problem.answer = "1,018";
  EXPECT_TRUE(grade({}, problem, "so\n#### 1018.00")->correct);
  const auto wrong = grade({}, problem, "so\n#### 1017");
  EXPECT_FALSE(wrong->correct);
  EXPECT_EQ(wrong->detail, "expected 1018, found 1017");
  EXPECT_EQ(grade({}, problem, "I do not know")->detail, "expected 1018, found no number");
  problem.answer = "";
  EXPECT_FALSE(grade({}, problem, "nothing")->correct);
}

TEST(Grade, EveryEmbeddedWorkedSolutionIsRight) {
  DatasetOptions options;
  options.share_dir = KAKEYA_SOURCE_DIR;
  options.n_samples = 1000;
  const auto set = load_dataset("gsm-mini", options);
  ASSERT_TRUE(set.ok()) << set.error().message;
  for (const Problem& problem : set->problems) {
    EXPECT_TRUE(grade({}, problem, problem.solution)->correct) << problem.solution;
    EXPECT_FALSE(grade({}, problem, problem.solution + "1")->correct) << problem.solution;
  }
}

TEST(Grade, EveryPublishedGsm8kSolutionIsRight) {
  DatasetOptions options;
  const char* shared = std::getenv("KAKEYA_SHARED");
  options.data_dir = std::string(shared != nullptr ? shared : KAKEYA_SOURCE_DIR "/../shared") + "/data";
  options.n_samples = 10000;
  options.allow_network = false;
  if (!std::filesystem::exists(options.data_dir + "/gsm8k/test.jsonl")) {
    GTEST_SKIP() << options.data_dir << "/gsm8k/test.jsonl is not there; set KAKEYA_SHARED";
  }
  const auto set = load_dataset("gsm8k", options);
  ASSERT_TRUE(set.ok()) << set.error().message;
  for (const Problem& problem : set->problems) {
    EXPECT_TRUE(grade({}, problem, problem.solution)->correct) << problem.solution;
  }
}

Problem one_function() {
  Problem problem;
  problem.kind = TaskKind::kCode;
  problem.task_id = "test/0";
  problem.prompt = "import math\n\ndef helper(x):\n    return x\n\ndef area(r):\n    \"\"\"Area.\"\"\"\n";
  problem.entry_point = "area";
  problem.test = "def check(candidate):\n    assert candidate(1) > 3\n";
  return problem;
}

TEST(CodeSolution, CutsACompletionWhereItLeavesTheFunction) {
  const Problem p = one_function();
  const std::string body = "    return math.pi * r * r\n";
  for (const char* after : {"", "\n\ndef other():\n    pass\n", "\nprint(area(3))\n", "```\nThis works.",
                            "# Test\n", "if __name__ == '__main__':\n  x()\n"}) {
    EXPECT_THAT(code_solution(p, body + after), ::testing::StartsWith(p.prompt + body)) << after;
    EXPECT_EQ(code_solution(p, body + after).find_last_not_of('\n'), (p.prompt + body).find_last_not_of('\n'))
        << after;
  }
}

TEST(CodeSolution, KeepsStringsAndBracketsThatReachTheMargin) {
  const Problem p = one_function();
  const std::string body = "    text = \"\"\"one\ntwo\n\"\"\"\n    xs = [\n  1,\n]\n    return xs  # it's\n";
  EXPECT_EQ(code_solution(p, body + "print(1)\n"), p.prompt + body);
}

TEST(CodeSolution, TakesTheBlockOfAChatAnswer) {
  const Problem p = one_function();
  const std::string code = "def area(r):\n    return math.pi * r ** 2\n";
  const std::string program = "import math\n\ndef helper(x):\n    return x\n\n" + code;
  EXPECT_EQ(
      code_solution(p, "<think>\n```python\nbad\n```\n</think>\nHere:\n```python\n" + code + "```\nDone."),
      program);
  EXPECT_EQ(code_solution(p, "First install:\n```sh\npip\n```\nThen\n```py\n" + code + "```\n"), program);
  EXPECT_EQ(code_solution(p, "```\n" + code), program);
  EXPECT_EQ(code_solution(p, code), program);
  EXPECT_EQ(code_solution(p, "Only the body:\n```python\n    return 3.2\n```"),
            p.prompt + "    return 3.2\n");
}

TEST(CodeSolution, SurvivesAnyBytes) {
  const Problem p = one_function();
  std::mt19937 random(9);
  const std::string pieces[] = {
      "```", "\n",   "    ", "def area(",         "\"\"\"", "'", "#", "\\", "</think>",
      "a",   "\xff", ")",    std::string(1, '\0')};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (unsigned n = random() % 12; n > 0; --n) text += pieces[random() % std::size(pieces)];
    EXPECT_THAT(code_solution(p, text), HasSubstr("import math"));
  }
}

}  // namespace
}  // namespace kakeya::acceptance
