// Lists and ranges of llama-bench's command line.
#include "speed/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kakeya::speed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(Counts, AreNumbersAndRangesInAnyMix) {
  EXPECT_THAT(*parse_counts("-p", "512"), ElementsAre(512));
  EXPECT_THAT(*parse_counts("-p", "0,16,32"), ElementsAre(0, 16, 32));
  EXPECT_THAT(*parse_counts("-p", "1-4"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(*parse_counts("-p", "64-256+64"), ElementsAre(64, 128, 192, 256));
  EXPECT_THAT(*parse_counts("-p", "64-250+64"), ElementsAre(64, 128, 192));
  EXPECT_THAT(*parse_counts("-p", "1-32*2"), ElementsAre(1, 2, 4, 8, 16, 32));
  EXPECT_THAT(*parse_counts("-p", "7,1-8*2,9-9"), ElementsAre(7, 1, 2, 4, 8, 9));
}

TEST(Counts, NameTheFlagAndThePartThatIsWrong) {
  for (const char* part : {"", "x", "-1", "1-", "4-1", "1-4+0", "1-4*1", "0-4*2", "1-4+", "1.5", "1+4-9",
                           "99999999999", "0-2000000000", " 1"}) {
    const auto result = parse_counts("--rows", std::string("8,") + part);
    ASSERT_FALSE(result.ok()) << part;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(result.error().message, HasSubstr("--rows"));
    EXPECT_THAT(result.error().message, HasSubstr("'" + std::string(part) + "'"));
  }
}

TEST(PromptsWithTokens, ArePairs) {
  EXPECT_THAT(*parse_prompt_gens("512,128"), ElementsAre(Pair(512, 128)));
  EXPECT_THAT(*parse_prompt_gens("512,128;1,2"), ElementsAre(Pair(512, 128), Pair(1, 2)));
  for (const char* text : {"", "512", "512,", "0,1", "1,0", "1,2,3", "1,2;"}) {
    EXPECT_FALSE(parse_prompt_gens(text).ok()) << text;
  }
}

TEST(Names, AreSplitAtCommas) {
  EXPECT_THAT(*parse_names("--kv", "bf16,e8-q10"), ElementsAre("bf16", "e8-q10"));
  EXPECT_FALSE(parse_names("--kv", "bf16,").ok());
  EXPECT_FALSE(parse_names("--kv", "").ok());
}

}  // namespace
}  // namespace kakeya::speed
