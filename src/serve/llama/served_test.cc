// POST /completion over HTTP, and what of /v1/completions goes beyond a chat: echoes with log-probabilities.
#include <gmock/gmock.h>

#include "serve/server_test_support.h"

namespace kakeya::serve {
namespace {

using namespace test;  // NOLINT: a fixture and its helpers
using testing::HasSubstr;
using testing::Not;

TokenLogprob logprob_of(char c, float logprob) {
  TokenLogprob out;
  out.id = static_cast<unsigned char>(c);
  out.logprob = logprob;
  out.top = {{out.id, logprob}, {Token{'?'}, logprob - 1}};
  return out;
}

class Completions : public Served {
 protected:
  void SetUp() override {
    Served::SetUp();
    AnswerPart first = text_part(AnswerPart::Kind::kContent, "x\n");
    first.logprobs = {logprob_of('x', -0.5f), logprob_of('\n', -0.25f)};
    first.prompt_logprobs = {logprob_of('b', -2.0f)};
    first.elapsed_ms = 30;
    AnswerPart second = text_part(AnswerPart::Kind::kContent, "y");
    second.logprobs = {logprob_of('y', -1.0f)};
    second.elapsed_ms = 90;
    AnswerPart end = finished_part(FinishReason::kStop, 9, 3);
    end.summary->completion.stop_string = "END";
    end.summary->completion.usage.cached_tokens = 4;
    end.summary->seed = 7;
    world_.script.parts = {started(), first, second, end};
  }
  json whole(const std::string& fields) {
    return body_of(ask(post("/completion", R"({"prompt":"ab",)" + fields + "}")));
  }
  std::vector<json> stream(const std::string& path, const std::string& fields) {
    RawClient client(server_->port());
    client.send(post(path, R"({"prompt":"ab","stream":true,)" + fields + "}", "Connection: close\r\n"));
    std::vector<json> events;
    for (const std::string& event : events_of(client.read_until(""))) {
      if (event != "[DONE]") events.push_back(json::parse(event));
    }
    return events;
  }
};

TEST_F(Completions, AnswerWithLlamaServersFields) {
  start();
  const json body = whole(R"("n_predict":8,"stop":["END"],"return_tokens":true,"top_k":5)");
  EXPECT_EQ(body["content"], "x\ny");
  EXPECT_EQ(body["tokens"], json::array({'x', '\n', 'y'}));
  EXPECT_EQ(body["stop"], true);
  EXPECT_EQ(body["stop_type"], "word");
  EXPECT_EQ(body["stopping_word"], "END");
  EXPECT_EQ(body["prompt"], "ab");
  EXPECT_EQ(body["tokens_predicted"], 3);
  EXPECT_EQ(body["tokens_evaluated"], 9);
  EXPECT_EQ(body["tokens_cached"], 4);
  EXPECT_EQ(body["has_new_line"], true);
  EXPECT_EQ(body["truncated"], false);
  EXPECT_EQ(body["generation_settings"]["n_predict"], 8);
  EXPECT_EQ(body["generation_settings"]["seed"], 7);
  EXPECT_EQ(body["generation_settings"]["top_k"], 5);
  EXPECT_EQ(body["timings"]["predicted_n"], 3);
  EXPECT_EQ(body["kakeya"]["kv_channel"], "bf16");
  EXPECT_FALSE(body.contains("completion_probabilities"));
  EXPECT_EQ(whole(R"("n_predict":8)")["tokens"], json::array());
}

TEST_F(Completions, GiveOnlyTheFieldsThatWereAskedFor) {
  start();
  const json body = whole(R"("response_fields":["content","generation_settings/n_predict","none/such"])");
  EXPECT_EQ(body, json::parse(R"({"content":"x\ny","generation_settings/n_predict":-1})"));
}

TEST_F(Completions, OfSeveralPromptsAreAList) {
  start();
  const json body = body_of(ask(post("/completion", R"({"prompt":["ab",[1,2]],"n_cmpl":2})")));
  ASSERT_EQ(body.size(), 4u);
  for (std::size_t i = 0; i < body.size(); ++i) EXPECT_EQ(body[i]["index"], i);
  EXPECT_EQ(body[2]["prompt"], "\x01\x02");
}

TEST_F(Completions, ShowProbabilitiesOfTheModelOrOfAGreedyChoice) {
  start();
  json token = whole(R"("n_probs":2)")["completion_probabilities"][0];
  EXPECT_EQ(token["id"], 'x');
  EXPECT_EQ(token["bytes"], json::array({'x'}));
  EXPECT_EQ(token["logprob"], -0.5);
  ASSERT_EQ(token["top_logprobs"].size(), 2u);
  EXPECT_EQ(token["top_logprobs"][1]["token"], "?");
  token = whole(R"("n_probs":2,"temperature":0,"post_sampling_probs":true)")["completion_probabilities"][0];
  EXPECT_EQ(token["prob"], 1.0);
  ASSERT_EQ(token["top_probs"].size(), 2u);
  EXPECT_EQ(token["top_probs"][0]["id"], 'x');
  EXPECT_EQ(token["top_probs"][1]["prob"], 0.0);
  EXPECT_FALSE(token.contains("logprob"));
}

TEST_F(Completions, StreamTextTokensAndAtLastTheWhole) {
  start();
  const auto events = stream("/completion", R"("n_probs":1,"timings_per_token":true)");
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0]["content"], "x");
  EXPECT_EQ(events[1]["content"], "\n");
  EXPECT_EQ(events[1]["tokens"], json::array({'\n'}));
  EXPECT_EQ(events[1]["stop"], false);
  EXPECT_EQ(events[1]["tokens_predicted"], 2);
  ASSERT_EQ(events[1]["completion_probabilities"].size(), 1u);
  EXPECT_EQ(events[1]["completion_probabilities"][0]["id"], '\n');
  EXPECT_EQ(events[2]["timings"]["predicted_ms"], 60.0);
  EXPECT_EQ(events[3]["stop"], true);
  EXPECT_EQ(events[3]["content"], "");
  EXPECT_EQ(events[3]["stop_type"], "word");
  EXPECT_TRUE(events[3].contains("generation_settings"));
}

TEST_F(Completions, EndAtTheirTimeLimitOnceThereIsANewLine) {
  world_.script.between = milliseconds(5);
  start();
  EXPECT_EQ(whole(R"("t_max_predict_ms":1000)")["content"], "x\ny");
  EXPECT_EQ(world_.script.cancelled, 0);
  whole(R"("t_max_predict_ms":50)");
  EXPECT_EQ(world_.script.cancelled, 1);
}

TEST_F(Completions, OfOpenAiEchoTheLogprobsOfTheirPrompt) {
  start();
  const std::string fields = R"("echo":true,"logprobs":1,"max_tokens":3)";
  const json body = body_of(ask(post("/v1/completions", R"({"prompt":"ab",)" + fields + "}")));
  const json& logprobs = body["choices"][0]["logprobs"];
  EXPECT_EQ(body["choices"][0]["text"], "abx\ny");
  EXPECT_EQ(logprobs["tokens"], json::array({"a", "b", "x", "\n", "y"}));
  EXPECT_EQ(logprobs["token_logprobs"], json::array({nullptr, -2.0, -0.5, -0.25, -1.0}));
  EXPECT_EQ(logprobs["text_offset"], json::array({0, 1, 2, 3, 4}));
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["top_logprobs"][1]["?"], -3.0);
  json joined = {{"tokens", json::array()}, {"token_logprobs", json::array()}};
  std::string text;
  for (const json& event : stream("/v1/completions", fields)) {
    if (event["choices"].empty()) continue;
    text += event["choices"][0]["text"].get<std::string>();
    const json& part = event["choices"][0]["logprobs"];
    for (auto& [name, list] : joined.items()) {
      if (!part.is_null()) list.insert(list.end(), part[name].begin(), part[name].end());
    }
  }
  EXPECT_EQ(text, "abx\ny");
  EXPECT_EQ(joined["tokens"], logprobs["tokens"]);
  EXPECT_EQ(joined["token_logprobs"], logprobs["token_logprobs"]);
}

TEST_F(Completions, ThatFailSaySoInTheStream) {
  AnswerPart failed;
  failed.kind = AnswerPart::Kind::kFailed;
  failed.error = Error{ErrorCode::kNumeric, "NaN"};
  world_.script.parts = {started(), failed};
  start();
  const auto events = stream("/completion", R"("n_predict":2)");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0]["error"]["message"].get<std::string>(), HasSubstr("NaN"));
}

TEST_F(Served, CountsThePromptOfAChatAndOfAResponse) {
  start();
  const std::string response = ask(post("/v1/chat/completions/input_tokens", kHi));
  EXPECT_EQ(body_of(response), json::parse(R"({"object":"response.input_tokens","input_tokens":9})"));
  EXPECT_EQ(body_of(ask(post("/responses/input_tokens", R"({"input":"hi"})")))["input_tokens"], 9);
  EXPECT_EQ(status_of(ask(post("/v1/chat/completions/input_tokens", "{}"))), 400);
  EXPECT_EQ(world_.script.asked.size(), 0u);
}

TEST_F(Served, HidesSlotsAndMetricsAndAnswersToItsAliases) {
  world_.options.show_slots = world_.options.show_metrics = false;
  world_.options.model_id = "main";
  world_.options.aliases = {"main", "other"};
  world_.options.tags = {"code"};
  start();
  EXPECT_EQ(status_of(ask(get("/slots"))), 501);
  EXPECT_EQ(body_of(ask(get("/metrics")))["error"]["type"], "not_supported_error");
  const json model = body_of(ask(get("/v1/models")))["data"][0];
  EXPECT_EQ(model["id"], "main");
  EXPECT_EQ(model["aliases"], json::array({"main", "other"}));
  EXPECT_EQ(model["tags"], json::array({"code"}));
  EXPECT_EQ(status_of(ask(post("/v1/completions", R"({"model":"other","prompt":"a"})"))), 200);
  EXPECT_EQ(status_of(ask(post("/v1/completions", R"({"model":"third","prompt":"a"})"))), 404);
}

}  // namespace
}  // namespace kakeya::serve
