#include <gtest/gtest.h>

#include "serve/responses/events.h"
#include "serve/test_support.h"

namespace kakeya::serve::responses {
namespace {

using Kind = dialog::AnswerPart::Kind;

Call read(const std::string& body) {
  auto result = read_request(body);
  if (const auto* error = std::get_if<http::ApiError>(&result)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::get<Call>(std::move(result));
}

std::string refusal(const std::string& body) {
  auto result = read_request(body);
  const auto* error = std::get_if<http::ApiError>(&result);
  return error == nullptr ? "accepted" : error->param;
}

const ChatRequest& chat_of(const Call& call) { return std::get<ChatRequest>(call.request.input); }

std::vector<std::string> types(const std::vector<Json>& events) {
  std::vector<std::string> names;
  for (const Json& event : events) names.push_back(event["type"]);
  return names;
}

std::vector<Json> all(Events& events, const std::vector<dialog::AnswerPart>& parts) {
  std::vector<Json> out = events.begin();
  for (const auto& part : parts) {
    for (Json& event : events.add(part)) out.push_back(std::move(event));
  }
  return out;
}

TEST(ResponsesRequest, MakesMessagesOfItems) {
  const Call call = read(R"({"model":"m","instructions":"be brief","input":[
    {"role":"developer","content":"rules"},{"role":"user","content":[{"type":"input_text","text":"w?"}]},
    {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]},
    {"type":"message","role":"assistant","content":[{"type":"output_text","text":"let me see","annotations":[]}]},
    {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
    {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
    {"type":"function_call_output","call_id":"c1","output":"sunny"},
    {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"rain"}]}]})");
  const auto& turns = chat_of(call).messages;
  ASSERT_EQ(turns.size(), 6u);
  EXPECT_EQ(turns[0].role + turns[0].content, "systembe brief");
  EXPECT_EQ(turns[1].role + turns[1].content, "systemrules");
  EXPECT_EQ(turns[3].content, "let me see");
  EXPECT_EQ(turns[3].reasoning_content, "hm");
  ASSERT_EQ(turns[3].tool_calls.size(), 2u);
  EXPECT_EQ(turns[3].tool_calls[0].arguments_json, R"({"a":1})");
  EXPECT_EQ(turns[5].role + turns[5].content, "toolrain");
}

TEST(ResponsesRequest, TakesFlatToolsFormatsAndEfforts) {
  const Call call = read(R"({"model":"m","input":"hi","max_output_tokens":7,"reasoning":{"effort":"none"},
    "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true},{"type":"custom","name":"p"}],
    "tool_choice":{"type":"function","name":"f"},
    "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}}})");
  EXPECT_EQ(call.request.max_tokens, 7);
  EXPECT_EQ(chat_of(call).enable_thinking, false);
  ASSERT_EQ(chat_of(call).tools_json.size(), 2u);
  EXPECT_EQ(Json::parse(chat_of(call).tools_json[0])["function"]["name"], "f");
  EXPECT_EQ(call.custom_tools.count("p"), 1u);
  EXPECT_EQ(call.request.tool_name, "f");
  EXPECT_EQ(call.request.format->kind, ConstraintKind::kJsonSchema);
}

TEST(ResponsesRequest, RefusesWhatNeedsAMemoryByName) {
  EXPECT_EQ(refusal(R"({"model":"m","input":"x","previous_response_id":"resp_1"})"), "previous_response_id");
  EXPECT_EQ(refusal(R"({"model":"m","input":"x","background":true})"), "background");
  EXPECT_EQ(refusal(R"({"model":"m","input":[{"type":"item_reference","id":"msg_1"}]})"), "input[0]");
  EXPECT_EQ(refusal(R"({"model":"m"})"), "input");
  EXPECT_EQ(refusal(R"({"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]})"),
            "input[0].content[0]");
}

TEST(ResponsesRequest, LeavesOutToolsThatOpenAIsServersRunAndShowsIt) {
  const Call call =
      read(R"({"model":"m","input":"x","tools":[{"type":"web_search"},{"type":"function","name":"f"}]})");
  EXPECT_EQ(chat_of(call).tools_json.size(), 1u);
  ASSERT_EQ(call.echo["tools"].size(), 1u);
  EXPECT_EQ(call.echo["tools"][0]["name"], "f");
}

TEST(ResponsesEvents, AreNumberedAndOpenAndCloseEachItem) {
  dialog::AnswerPart call = test::text_part(Kind::kToolCall, "");
  call.tool_name = "f";
  call.call_id = "call_1";
  const Call request = read(R"({"model":"m","input":"hi"})");
  Events events(request, 1);
  const auto got =
      all(events, {test::text_part(Kind::kReasoning, "hm"), test::text_part(Kind::kContent, "Hel"),
                   test::text_part(Kind::kContent, "lo"), call, test::text_part(Kind::kToolArguments, "{}"),
                   test::finished_part(FinishReason::kStop, 5, 9)});
  EXPECT_EQ(types(got), (std::vector<std::string>{"response.created",
                                                  "response.in_progress",
                                                  "response.output_item.added",
                                                  "response.content_part.added",
                                                  "response.reasoning_text.delta",
                                                  "response.reasoning_text.done",
                                                  "response.content_part.done",
                                                  "response.output_item.done",
                                                  "response.output_item.added",
                                                  "response.content_part.added",
                                                  "response.output_text.delta",
                                                  "response.output_text.delta",
                                                  "response.output_text.done",
                                                  "response.content_part.done",
                                                  "response.output_item.done",
                                                  "response.output_item.added",
                                                  "response.function_call_arguments.delta",
                                                  "response.function_call_arguments.done",
                                                  "response.output_item.done",
                                                  "response.completed"}));
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i]["sequence_number"], i);
  const Json& response = events.response();
  EXPECT_EQ(response["output"][1]["content"][0]["text"], "Hello");
  EXPECT_EQ(response["output"][2]["arguments"], "{}");
  EXPECT_EQ(response["output"][2]["call_id"], "call_1");
  EXPECT_EQ(response["usage"]["total_tokens"], 14);
  EXPECT_EQ(response["status"], "completed");
}

TEST(ResponsesEvents, GiveCustomToolsTheirFreeText) {
  dialog::AnswerPart call = test::text_part(Kind::kToolCall, "");
  call.tool_name = "patch";
  call.call_id = "call_1";
  const Call request = read(R"({"model":"m","input":"hi","tools":[{"type":"custom","name":"patch"}]})");
  Events events(request, 1);
  all(events,
      {call, test::text_part(Kind::kToolArguments, "{\"input\":\"*** Begin"),
       test::text_part(Kind::kToolArguments, " Patch\"}"), test::finished_part(FinishReason::kStop, 5, 9)});
  EXPECT_EQ(events.response()["output"][0]["type"], "custom_tool_call");
  EXPECT_EQ(events.response()["output"][0]["input"], "*** Begin Patch");
}

TEST(ResponsesEvents, SayThatALimitCutTheAnswer) {
  const Call request = read(R"({"model":"m","input":"hi"})");
  Events events(request, 1);
  const auto got =
      all(events, {test::text_part(Kind::kContent, "x"), test::finished_part(FinishReason::kLength, 5, 9)});
  EXPECT_EQ(got.back()["type"], "response.incomplete");
  EXPECT_EQ(events.response()["incomplete_details"]["reason"], "max_output_tokens");
}

}  // namespace
}  // namespace kakeya::serve::responses
