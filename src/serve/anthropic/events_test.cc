#include "serve/anthropic/events.h"

#include <gtest/gtest.h>

#include "serve/anthropic/routes.h"
#include "serve/test_support.h"

namespace kakeya::serve::anthropic {
namespace {

using Kind = dialog::AnswerPart::Kind;

std::vector<Json> all(Events& events, const std::vector<dialog::AnswerPart>& parts) {
  std::vector<Json> out;
  for (const auto& part : parts) {
    for (Json& event : events.add(part)) out.push_back(std::move(event));
  }
  return out;
}

std::vector<std::string> types(const std::vector<Json>& events) {
  std::vector<std::string> names;
  for (const Json& event : events) names.push_back(event["type"]);
  return names;
}

dialog::AnswerPart started() {
  dialog::AnswerPart part;
  part.kind = Kind::kStarted;
  part.prompt_tokens = 12;
  part.cached_tokens = 4;
  return part;
}

TEST(AnthropicEvents, OpenAndCloseABlockForEachKind) {
  dialog::AnswerPart call = test::text_part(Kind::kToolCall, "");
  call.tool_name = "f";
  call.call_id = "call_1";
  auto last = test::finished_part(FinishReason::kStop, 12, 7);
  last.summary->tool_calls = true;
  last.summary->completion.usage.cached_tokens = 4;
  Events events("m");
  const auto got =
      all(events, {started(), test::text_part(Kind::kReasoning, "hm"),
                   test::text_part(Kind::kContent, "let "), test::text_part(Kind::kContent, "me"), call,
                   test::text_part(Kind::kToolArguments, "{\"a\":1}"), last});
  EXPECT_EQ(types(got), (std::vector<std::string>{
                            "message_start", "content_block_start", "content_block_delta",
                            "content_block_stop", "content_block_start", "content_block_delta",
                            "content_block_delta", "content_block_stop", "content_block_start",
                            "content_block_delta", "content_block_stop", "message_delta", "message_stop"}));
  EXPECT_EQ(got[0]["message"]["usage"]["input_tokens"], 8);
  EXPECT_EQ(got[4]["index"], 1);
  EXPECT_EQ(got[9]["delta"]["partial_json"], "{\"a\":1}");
  EXPECT_EQ(got[11]["delta"]["stop_reason"], "tool_use");
  const Json& message = events.message();
  EXPECT_EQ(message["content"][0]["thinking"], "hm");
  EXPECT_EQ(message["content"][1]["text"], "let me");
  EXPECT_EQ(message["content"][2]["input"]["a"], 1);
  EXPECT_EQ(message["usage"]["cache_read_input_tokens"], 4);
  EXPECT_EQ(message["usage"]["output_tokens"], 7);
}

TEST(AnthropicEvents, NameTheReasonOfTheEnd) {
  const auto reason = [](FinishReason finish, const std::string& stop) {
    auto last = test::finished_part(finish, 1, 1);
    last.summary->completion.stop_string = stop;
    Events events("m");
    events.add(last);
    return events.message();
  };
  EXPECT_EQ(reason(FinishReason::kStop, "")["stop_reason"], "end_turn");
  EXPECT_EQ(reason(FinishReason::kLength, "")["stop_reason"], "max_tokens");
  EXPECT_EQ(reason(FinishReason::kStop, "END")["stop_reason"], "stop_sequence");
  EXPECT_EQ(reason(FinishReason::kStop, "END")["stop_sequence"], "END");
}

TEST(AnthropicErrors, HaveTheirShape) {
  http::ApiError error;
  error.status = 404;
  error.message = "no such model";
  const Json body = Json::parse(error_response(error).body);
  EXPECT_EQ(body["type"], "error");
  EXPECT_EQ(body["error"]["type"], "not_found_error");
  EXPECT_EQ(body["error"]["message"], "no such model");
}

}  // namespace
}  // namespace kakeya::serve::anthropic
