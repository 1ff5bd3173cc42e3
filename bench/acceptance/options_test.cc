#include "acceptance/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kakeya::acceptance {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

RunOptions options() {
  RunOptions o;
  o.out_dir = "somewhere";
  return o;
}

TEST(Settle, PutsTheBaselineFirstOrAddsItAndSaysSo) {
  RunOptions o = options();
  o.channels = {"e8-q10", "bf16", "e8-q4"};
  std::vector<std::string> notes;
  ASSERT_TRUE(settle(o, notes).ok());
  EXPECT_THAT(o.channels, ElementsAre("bf16", "e8-q10", "e8-q4"));
  EXPECT_TRUE(notes.empty());
  o.channels = {"q4_0"};
  ASSERT_TRUE(settle(o, notes).ok());
  EXPECT_THAT(o.channels, ElementsAre("bf16", "q4_0"));
  EXPECT_THAT(notes, ElementsAre(HasSubstr("bf16 added")));
}

TEST(Settle, GoesFreeAtATemperatureUnlessForcedWasAskedFor) {
  RunOptions o = options();
  o.temperature = 0.7f;
  std::vector<std::string> notes;
  ASSERT_TRUE(settle(o, notes).ok());
  EXPECT_EQ(o.protocol, "free");
  EXPECT_EQ(notes.size(), 1u);
  o = options();
  o.temperature = 0.7f;
  o.protocol_named = true;
  EXPECT_FALSE(settle(o, notes).ok());
}

TEST(Settle, NamesWhatItRefuses) {
  std::vector<std::string> notes;
  RunOptions o = options();
  o.channels = {"e8-q999"};
  EXPECT_THAT(settle(o, notes).error().message, HasSubstr("e8-q999"));
  o = options();
  o.datasets = {"trivia"};
  EXPECT_THAT(settle(o, notes).error().message, HasSubstr("trivia"));
  o = options();
  o.isa = "mmx";
  EXPECT_THAT(settle(o, notes).error().message, HasSubstr("mmx"));
  o = options();
  o.margins = {{"bf16", 1}};
  EXPECT_THAT(settle(o, notes).error().message, HasSubstr("bf16"));
}

TEST(PromptStyle, IsPlainForTheEmbeddedPairAndTheReferencesForOthers) {
  RunOptions o = options();
  EXPECT_EQ(prompt_style(o), PromptStyle::kPlain);
  o.target = "/models/Qwen3-8B";
  EXPECT_EQ(prompt_style(o), PromptStyle::kReference);
  o.prompt_style = "plain";
  EXPECT_EQ(prompt_style(o), PromptStyle::kPlain);
}

TEST(Protocols, ForcedDecidesWhereverItIsRun) {
  RunOptions o = options();
  EXPECT_EQ(primary_protocol(o), "free");
  EXPECT_EQ(verdict_protocol(o), "forced");
  o.protocol = "free";
  EXPECT_EQ(verdict_protocol(o), "free");
  o.protocol = "forced";
  EXPECT_EQ(primary_protocol(o), "forced");
}

}  // namespace
}  // namespace kakeya::acceptance
