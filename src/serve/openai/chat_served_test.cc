// Chats over HTTP: shapes, order of chunks, cancellation, failures.
#include <gmock/gmock.h>

#include "serve/server_test_support.h"

namespace kakeya::serve {
namespace {

using namespace test;  // NOLINT: a fixture and its helpers
using testing::HasSubstr;
using testing::Not;

TEST_F(Served, AnswersAChatWhole) {
  start();
  const std::string response = ask(post("/v1/chat/completions", kHi));
  EXPECT_EQ(status_of(response), 200);
  EXPECT_THAT(response, HasSubstr("Content-Type: application/json"));
  const json body = body_of(response);
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["choices"][0]["message"]["content"], "hello data: w\u00f6rld");
  EXPECT_EQ(body["choices"][0]["message"]["reasoning"], "hm");
  EXPECT_TRUE(body["choices"][0]["message"]["refusal"].is_null());
  EXPECT_TRUE(body["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(body["usage"]["total_tokens"], 26);
  EXPECT_DOUBLE_EQ(body["timings"]["predicted_per_second"].get<double>(), 160);
  EXPECT_EQ(body["kakeya"]["kv_channel"], "bf16");
  EXPECT_EQ(body["kakeya"]["fallback"], "no_draft");
}

TEST_F(Served, StreamsInTheOrderThatClientsRelyOn) {
  start();
  const std::string response = ask_stream(post("/v1/chat/completions", kStream));
  EXPECT_THAT(response, HasSubstr("text/event-stream"));
  const auto events = events_of(response);
  ASSERT_EQ(events.size(), 7u) << response;
  std::string ids;
  std::vector<json> chunks;
  for (std::size_t i = 0; i + 1 < events.size(); ++i) chunks.push_back(json::parse(events[i]));
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(chunks[0]["choices"][0]["delta"], json::parse(R"({"role":"assistant","content":""})"));
  EXPECT_EQ(chunks[1]["choices"][0]["delta"], json::parse(R"({"reasoning_content":"hm","reasoning":"hm"})"));
  EXPECT_EQ(chunks[2]["choices"][0]["delta"], json::parse(R"({"content":"hello"})"));
  EXPECT_EQ(chunks[3]["choices"][0]["delta"]["content"], " data: w\u00f6rld");
  EXPECT_EQ(chunks[4]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(chunks[4]["choices"][0]["delta"], json::object());
  EXPECT_TRUE(chunks[4].contains("timings"));
  EXPECT_TRUE(chunks[5]["choices"].empty());
  EXPECT_EQ(chunks[5]["usage"]["completion_tokens"], 17);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    EXPECT_EQ(chunks[i]["id"], chunks[0]["id"]);
    EXPECT_EQ(chunks[i]["created"], chunks[0]["created"]);
    EXPECT_FALSE(chunks[i].contains("error"));
    if (i < 5) {
      EXPECT_TRUE(chunks[i]["usage"].is_null());
      EXPECT_EQ(chunks[i]["choices"][0]["finish_reason"].is_null(), i < 4);
    }
  }
  EXPECT_THAT(response, Not(HasSubstr("\u00f6"))) << "ASCII alone";
}

TEST_F(Served, SendsNoUsageThatNobodyAskedFor) {
  start();
  const auto events = events_of(ask_stream(
      post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"stream":true})")));
  for (const std::string& event : events) EXPECT_THAT(event, Not(HasSubstr("\"usage\"")));
}

TEST_F(Served, SendsToolCallsInTwoStepsAndCustomOnesAsText) {
  AnswerPart call = text_part(AnswerPart::Kind::kToolCall, "");
  call.call_id = "call_1";
  call.tool_name = "f";
  AnswerPart arguments = text_part(AnswerPart::Kind::kToolArguments, R"({"a": 1})");
  AnswerPart custom = call, input = text_part(AnswerPart::Kind::kToolArguments, R"({"input": "*** Begin"})");
  custom.call_index = input.call_index = 1;
  custom.tool_name = "ApplyPatch";
  AnswerPart end = finished_part(FinishReason::kStop, 9, 17);
  end.summary->tool_calls = true;
  world_.script.parts = {started(), call, arguments, custom, input, end};
  start();
  const std::string tools =
      R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","name":"ApplyPatch"}])";
  const std::string body = R"({"messages":[{"role":"user","content":"hi"}],)" + tools;
  const auto events = events_of(ask_stream(post("/v1/chat/completions", body + R"(,"stream":true})")));
  ASSERT_EQ(events.size(), 7u);
  const auto delta = [&](std::size_t i) {
    return json::parse(events[i])["choices"][0]["delta"]["tool_calls"][0];
  };
  EXPECT_EQ(
      delta(1),
      json::parse(R"({"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}})"));
  EXPECT_EQ(delta(2), json::parse(R"({"index":0,"function":{"arguments":"{\"a\": 1}"}})"));
  EXPECT_EQ(delta(3)["type"], "custom");
  EXPECT_EQ(delta(4)["custom"]["input"], "*** Begin");
  EXPECT_EQ(json::parse(events[5])["choices"][0]["finish_reason"], "tool_calls");
  const json whole = body_of(ask(post("/v1/chat/completions", body + "}")));
  EXPECT_TRUE(whole["choices"][0]["message"]["content"].is_null());
  EXPECT_EQ(whole["choices"][0]["message"]["tool_calls"][1]["custom"]["input"], "*** Begin");
}

TEST_F(Served, AnswersSeveralChoicesWithSeedsThatDiffer) {
  start();
  const json body = body_of(
      ask(post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"n":3,"seed":5})")));
  EXPECT_EQ(body["choices"].size(), 3u);
  EXPECT_EQ(body["choices"][2]["index"], 2);
  EXPECT_EQ(body["usage"]["prompt_tokens"], 9);
  EXPECT_EQ(body["usage"]["completion_tokens"], 51);
  EXPECT_EQ(world_.script.asked[2].sampling.seed, 7u);
}

TEST_F(Served, CancelsWithinASecondWhenTheClientLeavesAStreamOrAWholeAnswer) {
  world_.script.between = milliseconds(60'000);
  start();
  for (const char* body : {kHi, kStream}) {
    RawClient client(server_->port());
    client.send(post("/v1/chat/completions", body) + "\r\n");  // what follows must not hide the end
    while (world_.script.alive == 0) std::this_thread::sleep_for(milliseconds(5));
    client.close();
    EXPECT_TRUE(none_alive_within(milliseconds(1000))) << body;
  }
}

TEST_F(Served, KeepsASilentStreamAliveWithComments) {
  world_.options.keepalive = std::chrono::seconds(1);
  world_.script.between = milliseconds(1500);
  world_.script.parts = {finished_part(FinishReason::kStop, 9, 0)};
  start();
  const std::string response = ask_stream(post("/v1/chat/completions", kStream));
  EXPECT_THAT(response, HasSubstr("\n: keepalive\n\n"));
}

TEST_F(Served, CutsARequestAtTheTimeLimitAndSendsWhatItHas) {
  world_.options.timeout = std::chrono::seconds(1);
  world_.script.between = milliseconds(400);
  world_.script.parts.back().summary->completion.finish = FinishReason::kCancelled;
  start();
  const json body = body_of(ask(post("/v1/chat/completions", kHi)));
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
}

TEST_F(Served, TellsEveryFamilyThatTheTimePassedBeforeTheFirstToken) {
  world_.options.timeout = std::chrono::seconds(1);
  world_.script.between = milliseconds(1500);
  world_.script.parts = {finished_part(FinishReason::kCancelled, 9, 0)};
  start();
  const std::string messages = R"("messages":[{"role":"user","content":"hi"}])";
  for (const auto& [path, body] :
       {std::pair<std::string, std::string>{"/v1/chat/completions", "{" + messages + "}"},
        {"/v1/messages", R"({"model":"qwen3/tiny:test","max_tokens":9,)" + messages + "}"},
        {"/v1/responses", R"({"model":"qwen3/tiny:test","input":"hi"})"},
        {"/api/chat", R"({"model":"qwen3/tiny:test","stream":false,)" + messages + "}"}}) {
    const std::string response = ask(post(path, body));
    EXPECT_EQ(status_of(response), 503) << path << ": " << response;
    EXPECT_THAT(response, HasSubstr("--timeout")) << path;
  }
}

TEST_F(Served, TurnsFailuresIntoStatusesBeforeAStreamAndEventsWithinIt) {
  start();
  world_.script.refusal =
      Error{ErrorCode::kContextOverflow, "This model's maximum context length is 512 tokens."};
  std::string response = ask(post("/v1/chat/completions", kStream));
  EXPECT_EQ(status_of(response), 400);
  EXPECT_EQ(body_of(response)["error"]["code"], "context_length_exceeded");
  world_.script.refusal = Error{ErrorCode::kUnavailable, "the queue is full"};
  response = ask(post("/v1/chat/completions", kHi));
  EXPECT_EQ(status_of(response), 429);
  EXPECT_THAT(response, HasSubstr("retry-after: 2"));
  world_.script.refusal.reset();
  AnswerPart failed;
  failed.kind = AnswerPart::Kind::kFailed;
  failed.error = Error{ErrorCode::kNumeric, "NaN"};
  world_.script.parts = {started(), failed};
  RawClient client(server_->port());
  client.send(post("/v1/chat/completions", kStream, "Connection: close\r\n"));
  response = client.read_until("");
  EXPECT_EQ(status_of(response), 200);
  const auto events = events_of(response);
  EXPECT_EQ(json::parse(events.back())["error"]["type"], "server_error");
  EXPECT_THAT(response, Not(HasSubstr("[DONE]")));
  EXPECT_EQ(status_of(ask(post("/v1/chat/completions", kHi))), 500);
}

}  // namespace
}  // namespace kakeya::serve
