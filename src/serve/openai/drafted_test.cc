#include "serve/openai/drafted.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "serve/test_support.h"

namespace kakeya::serve::openai {
namespace {

// Tokens of the scripted engine are bytes.
std::string runs(const std::string& text, const std::vector<std::uint8_t>& drafted) {
  dialog::AnswerPart part = test::text_part(dialog::AnswerPart::Kind::kContent, text);
  part.drafted = drafted;
  return drafted_runs(part, test::ByteEngine()).dump();
}

TEST(DraftedRuns, JoinNeighboursOfOneKind) {
  EXPECT_EQ(runs("abcd", {1, 1, 0, 1}), R"([["ab",1],["c",0],["d",1]])");
  EXPECT_EQ(runs("ab", {}), R"([["ab",0]])");
  EXPECT_EQ(runs("", {}), "[]");
}

TEST(DraftedRuns, GiveACharacterToItsLastToken) {
  EXPECT_EQ(runs("a\xC3\xA9", {1, 1, 0}), "[[\"a\",1],[\"\xC3\xA9\",0]]");
}

TEST(DraftedRuns, AreOneWhenTheTextIsNotItsTokens) {
  dialog::AnswerPart part = test::text_part(dialog::AnswerPart::Kind::kContent, "ab");
  part.ids = {'x', 'y'};
  part.drafted = {1, 1};
  EXPECT_EQ(drafted_runs(part, test::ByteEngine()).dump(), R"([["ab",0]])");
}

}  // namespace
}  // namespace kakeya::serve::openai
