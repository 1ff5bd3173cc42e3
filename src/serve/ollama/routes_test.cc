#include "serve/ollama/routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "serve/ollama/lines.h"
#include "serve/test_support.h"

namespace kakeya::serve::ollama {
namespace {

using Kind = dialog::AnswerPart::Kind;

class StringWriter : public http::Writer {
 public:
  bool write(std::string_view bytes) override {
    text += bytes;
    return true;
  }
  bool gone() override { return false; }
  std::string text;
};

class OllamaRoutes : public testing::Test {
 protected:
  OllamaRoutes() {
    ollama::add_routes(router_, world_.context);
    dialog::AnswerPart call = test::text_part(Kind::kToolCall, "");
    call.tool_name = "f";
    world_.script.parts = {
        test::text_part(Kind::kReasoning, "hm"),          test::text_part(Kind::kContent, "Hello "),
        test::text_part(Kind::kContent, "there"),         call,
        test::text_part(Kind::kToolArguments, "{\"a\":"), test::text_part(Kind::kToolArguments, "1}"),
        test::finished_part(FinishReason::kStop, 5, 9)};
  }

  http::Response send(const std::string& method, const std::string& path, const std::string& body = "") {
    http::Request request;
    request.method = method;
    request.path = path;
    request.body = body;
    const http::Route* route = router_.find(request);
    if (route == nullptr) return {404, "", "no route", {}, {}};
    auto answer = route->handler(request);
    if (const auto* error = std::get_if<http::ApiError>(&answer)) return route->style(*error);
    return std::get<http::Response>(std::move(answer));
  }

  std::vector<Json> lines(const std::string& path, const std::string& body) {
    const http::Response response = send("POST", path, body);
    EXPECT_EQ(response.content_type, "application/x-ndjson");
    StringWriter writer;
    response.stream(writer);
    std::vector<Json> lines;
    std::istringstream in(writer.text);
    for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
    return lines;
  }

  test::World world_;
  http::Router router_;
};

constexpr const char* kChat = R"({"model":"qwen3/tiny:test","messages":[{"role":"user","content":"hi"}]})";
constexpr const char* kWhole =
    R"({"model":"qwen3/tiny:test","stream":false,"messages":[{"role":"user","content":"hi"}]})";

TEST_F(OllamaRoutes, StreamOneObjectALineAndTheLastIsDone) {
  const std::vector<Json> got = lines("/api/chat", kChat);
  ASSERT_EQ(got.size(), 5u);
  EXPECT_EQ(got[0]["message"]["thinking"], "hm");
  EXPECT_EQ(got[1]["message"]["content"], "Hello ");
  EXPECT_EQ(got[3]["message"]["tool_calls"][0]["function"]["name"], "f");
  EXPECT_EQ(got[3]["message"]["tool_calls"][0]["function"]["arguments"]["a"], 1);
  for (std::size_t i = 0; i + 1 < got.size(); ++i) EXPECT_EQ(got[i]["done"], false);
  EXPECT_EQ(got[4]["done"], true);
  EXPECT_EQ(got[4]["done_reason"], "stop");
}

TEST_F(OllamaRoutes, CountTimeInNanoseconds) {
  const Json last = lines("/api/chat", kChat).back();
  EXPECT_EQ(last["prompt_eval_count"], 5);
  EXPECT_EQ(last["prompt_eval_duration"], 20'000'000);
  EXPECT_EQ(last["eval_count"], 9);
  EXPECT_EQ(last["eval_duration"], 100'000'000);
  EXPECT_TRUE(last["total_duration"].is_number_integer());
}

TEST_F(OllamaRoutes, AnswerAtOnceWhenNotStreaming) {
  const Json got = Json::parse(send("POST", "/api/chat", kWhole).body);
  EXPECT_EQ(got["message"]["content"], "Hello there");
  EXPECT_EQ(got["message"]["thinking"], "hm");
  EXPECT_EQ(got["message"]["tool_calls"].size(), 1u);
  EXPECT_EQ(got["done"], true);
}

TEST_F(OllamaRoutes, GenerateAnswersWithAResponse) {
  world_.script.parts.erase(world_.script.parts.begin() + 3, world_.script.parts.end() - 1);
  const Json got = Json::parse(
      send("POST", "/api/generate", R"({"model":"qwen3/tiny:test","prompt":"p","stream":false})").body);
  EXPECT_EQ(got["response"], "Hello there");
  EXPECT_FALSE(got.contains("message"));
}

TEST_F(OllamaRoutes, PassARawPromptAsItIs) {
  send("POST", "/api/generate", R"({"model":"qwen3/tiny:test","prompt":"ab","raw":true,"stream":false})");
  ASSERT_EQ(world_.script.asked.size(), 1u);
  EXPECT_EQ(std::get<std::vector<Token>>(world_.script.asked[0].input), (std::vector<Token>{'a', 'b'}));
}

TEST_F(OllamaRoutes, RefuseASuffixWithoutTheModelsTokensForIt) {
  const http::Response got =
      send("POST", "/api/generate", R"({"model":"qwen3/tiny:test","prompt":"a","suffix":"b"})");
  EXPECT_EQ(got.status, 400);
  EXPECT_TRUE(Json::parse(got.body)["error"].is_string());
}

TEST_F(OllamaRoutes, SayThatAnotherModelIsNotFound) {
  const http::Response got = send("POST", "/api/chat", R"({"model":"other","messages":[]})");
  EXPECT_EQ(got.status, 404);
  EXPECT_EQ(Json::parse(got.body)["error"], "model 'other' not found; this server has 'qwen3/tiny:test'");
}

TEST_F(OllamaRoutes, WantJsonNamedByPagesOfTheWebAlone) {
  http::Request request;
  request.method = "POST";
  request.path = "/api/chat";
  request.body = R"({"model":"qwen3/tiny:test"})";
  const http::Route* route = router_.find(request);
  EXPECT_TRUE(std::holds_alternative<http::Response>(route->handler(request)));
  request.headers.add("Origin", "https://example.org");
  ASSERT_TRUE(std::holds_alternative<http::ApiError>(route->handler(request)));
  EXPECT_EQ(std::get<http::ApiError>(route->handler(request)).status, 415);
  request.headers.add("Content-Type", "application/json; charset=utf-8");
  EXPECT_TRUE(std::holds_alternative<http::Response>(route->handler(request)));
}

TEST_F(OllamaRoutes, KnowTheModelWithAndWithoutLatest) {
  EXPECT_EQ(send("POST", "/api/show", R"({"model":"qwen3/tiny:test:latest"})").status, 200);
  EXPECT_EQ(send("POST", "/api/show", R"({"model":"qwen3/tiny:other"})").status, 404);
}

TEST_F(OllamaRoutes, WriteAFailureInTheMiddleAsALastLine) {
  world_.script.parts.back() = {};
  world_.script.parts.back().kind = Kind::kFailed;
  world_.script.parts.back().error = {ErrorCode::kNumeric, "NaN in layer 3"};
  EXPECT_EQ(lines("/api/chat", kChat).back()["error"], "NaN in layer 3");
}

TEST_F(OllamaRoutes, DescribeTheModel) {
  const Json tags = Json::parse(send("GET", "/api/tags").body);
  EXPECT_EQ(tags["models"][0]["name"], "qwen3/tiny:test");
  EXPECT_EQ(tags["models"][0]["digest"].get<std::string>().size(), 64u);
  const Json show = Json::parse(send("POST", "/api/show", R"({"name":"qwen3/tiny:test"})").body);
  EXPECT_EQ(show["model_info"]["general.architecture"], "qwen3");
  EXPECT_EQ(show["model_info"]["qwen3.context_length"], 512);
  EXPECT_EQ(show["capabilities"][0], "completion");
  EXPECT_EQ(Json::parse(send("GET", "/api/ps").body)["models"].size(), 1u);
  EXPECT_TRUE(Json::parse(send("GET", "/api/version").body)["version"].is_string());
}

TEST_F(OllamaRoutes, EmbedTextsAsVectorsOfLengthOne) {
  const Json got =
      Json::parse(send("POST", "/api/embed", R"({"model":"qwen3/tiny:test","input":["ab","c"]})").body);
  ASSERT_EQ(got["embeddings"].size(), 2u);
  double square = 0;
  for (const auto& x : got["embeddings"][0]) square += x.get<double>() * x.get<double>();
  EXPECT_NEAR(square, 1, 1e-5);
  EXPECT_EQ(got["prompt_eval_count"], 3);
  const Json old =
      Json::parse(send("POST", "/api/embeddings", R"({"model":"qwen3/tiny:test","prompt":"ab"})").body);
  EXPECT_EQ(old["embedding"][0], 2);  // not scaled: the scripted service gives the count of tokens first
}

TEST(OllamaTime, IsUtcWithNanoseconds) {
  // date -u -d @1700000000
  EXPECT_EQ(time_text(1'700'000'000'000'000'042), "2023-11-14T22:13:20.000000042Z");
}

}  // namespace
}  // namespace kakeya::serve::ollama
