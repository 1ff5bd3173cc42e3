#include "serve/ollama/request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kakeya::serve::ollama {
namespace {

Call chat(const std::string& body) {
  auto read = read_chat(body);
  if (const auto* error = std::get_if<http::ApiError>(&read)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::get<Call>(std::move(read));
}

std::string refusal(const std::string& body) {
  auto read = read_chat(body);
  const auto* error = std::get_if<http::ApiError>(&read);
  return error == nullptr ? "accepted" : error->param;
}

const ChatRequest& messages_of(const Call& call) { return std::get<ChatRequest>(call.request.input); }

TEST(OllamaChat, StreamsUnlessToldNotTo) {
  EXPECT_TRUE(chat(R"({"model":"m","messages":[{"role":"user","content":"hi"}]})").stream);
  EXPECT_FALSE(chat(R"({"model":"m","stream":false,"messages":[{"role":"user","content":"hi"}]})").stream);
}

TEST(OllamaChat, TakesOptionsByTheirOllamaNames) {
  const Call call = chat(R"({"model":"m","messages":[{"role":"user","content":"hi"}],"keep_alive":"5m",
    "options":{"num_predict":12,"temperature":0.5,"top_p":0.9,"top_k":20,"min_p":0.1,"seed":-3,"stop":["a","b"],
    "repeat_penalty":1.1,"repeat_last_n":64,"presence_penalty":0.5,"frequency_penalty":0.25,"num_ctx":8192}})");
  const dialog::DialogRequest& request = call.request;
  EXPECT_EQ(request.max_tokens, 12);
  EXPECT_FLOAT_EQ(*request.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(*request.sampling.top_p, 0.9f);
  EXPECT_EQ(request.sampling.top_k, 20);
  EXPECT_FLOAT_EQ(*request.sampling.min_p, 0.1f);
  EXPECT_EQ(request.sampling.seed, static_cast<std::uint64_t>(-3));
  EXPECT_EQ(request.stop_strings, (std::vector<std::string>{"a", "b"}));
  EXPECT_FLOAT_EQ(*request.sampling.repetition_penalty, 1.1f);
  EXPECT_EQ(request.rules.repeat_last_n, 64u);
  EXPECT_FLOAT_EQ(request.rules.presence_penalty, 0.5f);
  EXPECT_FLOAT_EQ(request.rules.frequency_penalty, 0.25f);
}

TEST(OllamaChat, TakesANegativeNumberOfTokensAsNoLimit) {
  EXPECT_FALSE(
      chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],"options":{"num_predict":-1}})")
          .request.max_tokens);
}

TEST(OllamaChat, TakesRaycastsLocalToolsAndLeavesOutItsRemoteOnes) {
  const Call call = chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[
    {"type":"local_tool","function":{"name":"calendar","description":"d","parameters":{}}},
    {"type":"remote_tool","name":"web_search"}]})");
  ASSERT_EQ(messages_of(call).tools_json.size(), 1u);
  const auto tool = nlohmann::json::parse(messages_of(call).tools_json[0]);
  EXPECT_EQ(tool["type"], "function");
  EXPECT_EQ(tool["function"]["name"], "calendar");
  EXPECT_EQ(tool["function"]["parameters"]["type"], "object");
}

TEST(OllamaChat, TakesATurnThatCalledATool) {
  const Call call = chat(R"({"model":"m","messages":[{"role":"user","content":"x"},
    {"role":"assistant","content":"","thinking":"hm","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},
    {"role":"tool","content":"sunny","tool_name":"f"}]})");
  const auto& turns = messages_of(call).messages;
  ASSERT_EQ(turns.size(), 3u);
  ASSERT_EQ(turns[1].tool_calls.size(), 1u);
  EXPECT_EQ(turns[1].tool_calls[0].arguments_json, R"({"a":1})");
  EXPECT_EQ(turns[1].reasoning_content, "hm");
  EXPECT_EQ(turns[2].role, "tool");
}

TEST(OllamaChat, TakesAFormatAsWordOrSchema) {
  const auto kind = [](const std::string& format) {
    return chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],"format":)" + format + "}")
        .request.format;
  };
  EXPECT_EQ(kind("\"json\"")->kind, ConstraintKind::kJsonObject);
  EXPECT_EQ(kind(R"({"type":"object"})")->kind, ConstraintKind::kJsonSchema);
  EXPECT_EQ(kind(R"({"type":"object"})")->text, R"({"type":"object"})");
  EXPECT_FALSE(kind("\"\""));
  EXPECT_FALSE(kind("null"));
}

TEST(OllamaChat, SetsThinkingOnlyWhenItIsNamed) {
  const auto thinking = [](const std::string& more) {
    return messages_of(chat(R"({"model":"m","messages":[{"role":"user","content":"x"}])" + more + "}"))
        .enable_thinking;
  };
  EXPECT_EQ(thinking(""), std::nullopt);
  EXPECT_EQ(thinking(R"(,"think":false)"), false);
  EXPECT_EQ(thinking(R"(,"think":true)"), true);
  EXPECT_EQ(thinking(R"(,"think":"high")"), true);
}

TEST(OllamaChat, OnlyLoadsWithoutMessages) {
  EXPECT_TRUE(chat(R"({"model":"m"})").load_only);
  EXPECT_TRUE(chat(R"({"model":"m","messages":[]})").load_only);
}

TEST(OllamaChat, RefusesByTheNameOfTheField) {
  EXPECT_EQ(refusal(R"({"messages":[]})"), "model");
  EXPECT_EQ(refusal(R"({"model":"m","messages":3})"), "messages");
  EXPECT_EQ(refusal(R"({"model":"m","messages":[{"role":"user","content":"x","images":["aGk="]}]})"),
            "messages[0].images");
  EXPECT_EQ(refusal(R"({"model":"m","options":{"temperature":"hot"}})"), "options.temperature");
  EXPECT_EQ(refusal(R"({"model":"m","format":"xml"})"), "format");
  EXPECT_EQ(refusal(R"({"model":"m","tools":[{"type":"function"}]})"), "tools");
  EXPECT_EQ(refusal(R"({"model":"m","tools":[{"type":5}]})"), "tools");
}

TEST(OllamaGenerate, MakesAChatOfThePromptUnlessItIsRaw) {
  auto read = read_generate(R"({"model":"m","prompt":"hi","system":"be brief"})");
  const Call& call = std::get<Call>(read);
  ASSERT_EQ(messages_of(call).messages.size(), 2u);
  EXPECT_EQ(messages_of(call).messages[0].role, "system");
  EXPECT_TRUE(call.request.parse_output);
  auto raw = read_generate(R"({"model":"m","prompt":"hi","raw":true})");
  ASSERT_TRUE(std::get<Call>(raw).raw);
  EXPECT_FALSE(std::get<Call>(raw).request.parse_output);
  auto infill = read_generate(R"({"model":"m","prompt":"a","suffix":"b"})");
  EXPECT_TRUE(std::get<Call>(infill).raw->infill);
  EXPECT_TRUE(std::get<Call>(read_generate(R"({"model":"m","prompt":""})")).load_only);
}

}  // namespace
}  // namespace kakeya::serve::ollama
