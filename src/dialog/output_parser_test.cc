// What clients must see for what models write, wherever the text is cut.
#include <algorithm>
#include <random>

#include "dialog/parser_test_support.h"

namespace kakeya::dialog {
namespace {

const OutputFormat kPlain = {};
const OutputFormat kThinking = {Reasoning::kMayOpen, false};
const OutputFormat kOpened = {Reasoning::kOpen, false};
const OutputFormat kTools = {Reasoning::kNone, true};
const OutputFormat kAll = {Reasoning::kMayOpen, true};

TEST(OutputParser, SplitsReasoningFromContent) {
  expect_parsed(kThinking, "<think>\nFirst, <b>.\n\nThen.\n</think>\n\nYes.\n",
                {"First, <b>.\n\nThen.", "Yes.\n", {}});
  expect_parsed(kThinking, "\n<think>a</think>b", {"a", "b", {}});
  expect_parsed(kThinking, "<think>\n\n</think>\n\nHello", {"", "Hello", {}});
  expect_parsed(kOpened, "\nHmm.\n</think>\n\nYes", {"Hmm.", "Yes", {}});
  expect_parsed(kOpened, "<think>\nHmm.\n</think>\n\nYes", {"Hmm.", "Yes", {}});
}

TEST(OutputParser, AllIsReasoningUntilItsEndTagCame) {
  expect_parsed(kThinking, "<think>\nSo I\n", {"So I", "", {}});
  expect_parsed(kThinking, "<think>\nSo I</thin", {"So I</thin", "", {}});
  expect_parsed(kOpened, "So </thunk> I", {"So </thunk> I", "", {}});
  expect_parsed(kOpened, "<th", {"<th", "", {}});
}

TEST(OutputParser, TextThatDoesNotBeginWithThinkIsContent) {
  expect_parsed(kThinking, "Hi <think>x</think>", {"", "Hi <think>x</think>", {}});
  expect_parsed(kThinking, "<thing>", {"", "<thing>", {}});
  expect_parsed(kThinking, "<thin", {"", "<thin", {}});
  expect_parsed(kThinking, " \n", {"", " \n", {}});
  expect_parsed(kThinking, "", {"", "", {}});
}

TEST(OutputParser, NothingIsTakenApartWhereNothingIsLookedFor) {
  const std::string text =
      "<think>a</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n";
  expect_parsed(kPlain, text, {"", text, {}});
}

TEST(OutputParser, GivesCallsWithTheModelsOwnArguments) {
  expect_parsed(
      kTools,
      "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\":  1.50, \"a\": [\"\\u00e9\", {}]}}\n</tool_call>",
      {"", "", {{"f", "{\"b\":  1.50, \"a\": [\"\\u00e9\", {}]}"}}});
  expect_parsed(kTools, "<tool_call>{\"arguments\":{},\"name\":\"g\"}</tool_call>\n",
                {"", "", {{"g", "{}"}}});
  expect_parsed(kTools, "<tool_call>\n{\"name\": \"now\"}\n</tool_call>", {"", "", {{"now", "{}"}}});
  expect_parsed(kTools, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 1}\"}</tool_call>",
                {"", "", {{"f", "{\"x\": 1}"}}});
  expect_parsed(kTools, "<tool_call>{\"name\":\"f\",\"parameters\":{\"x\":1}}</tool_call>",
                {"", "", {{"f", "{\"x\":1}"}}});
}

TEST(OutputParser, SeveralElementsAreParallelCalls) {
  expect_parsed(kTools,
                "Let me look.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n"
                "<tool_call>\n{\"name\": \"g\", \"arguments\": {\"y\": 2}}\n</tool_call>\n",
                {"", "Let me look.", {{"f", "{\"x\": 1}"}, {"g", "{\"y\": 2}"}}});
}

TEST(OutputParser, CallLikeTextInTheReasoningIsReasoning) {
  expect_parsed(
      kAll,
      "<think>\n<tool_call>{\"name\":\"f\"}</tool_call>\n</think>\n\n<tool_call>{\"name\":\"g\"}</tool_call>",
      {"<tool_call>{\"name\":\"f\"}</tool_call>", "", {{"g", "{}"}}});
}

TEST(OutputParser, WhiteSpaceBeforeACallIsDroppedAndElseKept) {
  expect_parsed(kTools, " \n <tool_call>{\"name\":\"f\"}</tool_call>", {"", "", {{"f", "{}"}}});
  expect_parsed(kTools, "a \n <b> \n", {"", "a \n <b> \n", {}});
  expect_parsed(kTools, "a<tool_call>{\"name\":\"f\"}</tool_call>\nb\n", {"", "a\nb", {{"f", "{}"}}});
  expect_parsed(kTools, "<tool_call>{\"name\":\"f\"}</tool_call>\n\nb", {"", "b", {{"f", "{}"}}});
}

TEST(OutputParser, MalformedCallsComeBackAsContent) {
  for (const char* text :
       {"a\n<tool_call>\nnot json\n</tool_call>\nb", "<tool_call>{\"name\": 3}</tool_call>",
        "<tool_call>{\"name\": \"\"}</tool_call>", "<tool_call>[]</tool_call>", "<tool_call></tool_call>",
        "<tool_call>{\"name\":\"f\",\"arguments\":[1]}</tool_call>",
        "<tool_call>{\"name\":\"f\",\"arguments\":{}</tool_call>",
        "<tool_call>{\"name\":\"f\",\"arguments\":\"x\"}</tool_call>", "<tool_call>{\"name\":\"f\",\"argum",
        "<tool_call>", "<tool_call>{\"name\":\"f\"} {}</tool_call>",
        "<tool_call>{\"name\":\"f\"}</tool_calls>", "<tool_", "a <tool_call>\n",
        "<tool_call>\"\\</tool_call> tail"}) {
    expect_parsed(kTools, text, {"", text, {}});
  }
}

TEST(OutputParser, ACallBehindAMalformedOneIsStillACall) {
  expect_parsed(kTools, "<tool_call>{'}</tool_call>\n<tool_call>{\"name\":\"f\"}</tool_call>",
                {"", "<tool_call>{'}</tool_call>", {{"f", "{}"}}});
  // A quote that never closes hides the first end tag, but not for good.
  expect_parsed(kTools, "<tool_call>{\"na}</tool_call>\n<tool_call>{\"name\":\"f\"}</tool_call>",
                {"", "<tool_call>{\"na}</tool_call>", {{"f", "{}"}}});
}

TEST(OutputParser, TagsInsideStringsOfArgumentsAreText) {
  expect_parsed(
      kTools,
      "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"\\\\</tool_call>\\\"<tool_call>\"}}</tool_call>",
      {"", "", {{"f", "{\"x\":\"\\\\</tool_call>\\\"<tool_call>\"}"}}});
}

TEST(OutputParser, ACallWhoseEndTagWasCutOffIsACall) {
  expect_parsed(kTools, "<tool_call>\n{\"name\":\"f\",\"arguments\":{}}\n", {"", "", {{"f", "{}"}}});
  expect_parsed(kTools, "<tool_call>\n{\"name\":\"f\",\"arguments\":{}}\n</tool_c", {"", "", {{"f", "{}"}}});
}

// The last piece ends where a tag may begin: nothing of it may be out yet.
TEST(OutputParser, NeverGivesOutThePiecesOfATag) {
  const auto given_out = [](OutputFormat format, std::string_view text) {
    OutputParser parser(format);
    std::vector<OutputPart> parts;
    parser.push(text, parts);
    std::string out;
    for (const OutputPart& part : parts) out += part.text;
    return out;
  };
  const std::string_view open = "<tool_call>", end = "</think>", begin = "<think>";
  for (std::size_t i = 1; i < open.size(); ++i)
    EXPECT_EQ(given_out(kTools, "a " + std::string(open.substr(0, i))), "a");
  for (std::size_t i = 1; i < end.size(); ++i)
    EXPECT_EQ(given_out(kOpened, "a\n" + std::string(end.substr(0, i))), "a");
  for (std::size_t i = 1; i < begin.size(); ++i) EXPECT_EQ(given_out(kThinking, begin.substr(0, i)), "");
  EXPECT_EQ(given_out(kTools, "a <tool_x"), "a <tool_x");
  EXPECT_EQ(given_out(kPlain, "a <tool_"), "a <tool_");
}

TEST(OutputParser, RandomTextMeansTheSameHoweverItIsCut) {
  const std::vector<std::string> pieces = {"<think>",
                                           "</think>",
                                           "<tool_call>",
                                           "</tool_call>",
                                           "\n",
                                           " ",
                                           "<",
                                           "</",
                                           "\"",
                                           "\\",
                                           "x",
                                           "{\"name\":\"f\"}",
                                           "<tool",
                                           ">",
                                           "{",
                                           "}",
                                           "\"</tool_call>\"",
                                           "{\"name\":\"g\",\"arguments\":{\"a\":\"</tool_call>\"}}"};
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    RandomText made(pieces, random);
    const OutputFormat format = {static_cast<Reasoning>(random() % 3), random() % 4 != 0};
    made.cut(random);
    ASSERT_EQ(parse(format, made.cuts), parse(format, {made.text})) << made.text;
  }
}

TEST(OutputParser, SaysWhereTheReasoningEnds) {
  OutputParser parser(kThinking);
  std::vector<OutputPart> parts;
  parser.push("<think>ab", parts);
  EXPECT_EQ(parser.reasoning_end(), 9u);
  parser.push("</think>\n\nc", parts);
  EXPECT_EQ(parser.reasoning_end(), 17u);
  parser.finish(parts);
  EXPECT_EQ(parser.reasoning_end(), 17u);
  OutputParser none(kThinking);
  none.push("c", parts);
  none.finish(parts);
  EXPECT_EQ(none.reasoning_end(), 0u);
}

TEST(OutputParser, DeepNestingIsNoCallAndNoCrash) {
  const std::string deep = "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":" + std::string(200000, '[') +
                           std::string(200000, ']') + "}}</tool_call>";
  EXPECT_EQ(parse(kTools, {deep}).content, deep);
}

}  // namespace
}  // namespace kakeya::dialog
