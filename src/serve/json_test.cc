// Bodies with escapes of half a character.
#include "serve/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kakeya::serve {
namespace {

std::string text_of(const std::string& escaped) {
  Json body;
  const auto error = parse_body("{\"a\":\"" + escaped + "\"}", body);
  return error ? error->message : body["a"].get<std::string>();
}

TEST(Json, HalfASurrogatePairIsAReplacementCharacter) {
  const std::string mark = "\xef\xbf\xbd";
  EXPECT_EQ(text_of(R"(cut \ud83d)"), "cut " + mark);
  EXPECT_EQ(text_of(R"(\uD83Dx)"), mark + "x");
  EXPECT_EQ(text_of(R"(\udc00 x)"), mark + " x");
  EXPECT_EQ(text_of(R"(\ud83d\ud83d\ude00)"), mark + "\xf0\x9f\x98\x80");
  EXPECT_EQ(text_of(R"(\ud83d\n)"), mark + "\n");
}

TEST(Json, PairsAndEscapedBackslashesStay) {
  EXPECT_EQ(text_of(R"(\ud83d\ude00)"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(text_of(R"(\\ud83d)"), "\\ud83d");
  EXPECT_EQ(text_of(R"(\\\ud83d)"), "\\\xef\xbf\xbd");
  EXPECT_EQ(text_of(R"(\u00e9\")"), "\xc3\xa9\"");
}

TEST(Json, OtherMistakesAreStillFoundAtTheirPlace) {
  Json body;
  const auto error = parse_body(R"({"a":"\ud83d" x})", body);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message, "The request's body is not JSON: mistake at byte 15 of 16.");
  EXPECT_TRUE(parse_body(R"({"a":"\ud8)", body));
  EXPECT_TRUE(parse_body("{\"a\":\"\\", body));
}

}  // namespace
}  // namespace kakeya::serve
