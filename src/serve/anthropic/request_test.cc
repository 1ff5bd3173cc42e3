#include "serve/anthropic/request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kakeya::serve::anthropic {
namespace {

Call read(const std::string& body) {
  auto result = read_messages(body, false);
  if (const auto* error = std::get_if<http::ApiError>(&result)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::get<Call>(std::move(result));
}

std::string refusal(const std::string& body) {
  auto result = read_messages(body, false);
  const auto* error = std::get_if<http::ApiError>(&result);
  return error == nullptr ? "accepted" : error->param;
}

const std::vector<ChatMessage>& turns(const Call& call) {
  return std::get<ChatRequest>(call.request.input).messages;
}

const std::string kHi = R"("messages":[{"role":"user","content":"hi"}])";

TEST(AnthropicMessages, PutTheSystemPromptFirst) {
  const Call call = read(R"({"model":"m","max_tokens":9,"system":[{"type":"text","text":"be "},
    {"type":"text","text":"brief","cache_control":{"type":"ephemeral"}}],)" +
                         kHi + "}");
  ASSERT_EQ(turns(call).size(), 2u);
  EXPECT_EQ(turns(call)[0].role, "system");
  EXPECT_EQ(turns(call)[0].content, "be brief");
  EXPECT_EQ(call.request.max_tokens, 9);
}

TEST(AnthropicMessages, MakeMessagesOfToolResultsBeforeTheTextBesideThem) {
  const Call call = read(R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"w?"},
    {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"let me see"},
      {"type":"tool_use","id":"t1","name":"f","input":{"a":1}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"sunny"}]},
      {"type":"tool_result","tool_use_id":"t2","content":"broken","is_error":true},{"type":"text","text":"so?"}]}]})");
  ASSERT_EQ(turns(call).size(), 5u);
  EXPECT_EQ(turns(call)[1].content, "let me see");
  EXPECT_EQ(turns(call)[1].reasoning_content, "hm");
  EXPECT_EQ(turns(call)[1].tool_calls[0].arguments_json, R"({"a":1})");
  EXPECT_EQ(turns(call)[2].role, "tool");
  EXPECT_EQ(turns(call)[2].content, "sunny");
  EXPECT_EQ(turns(call)[3].content, "Error: broken");
  EXPECT_EQ(turns(call)[4].role, "user");
  EXPECT_EQ(turns(call)[4].content, "so?");
}

TEST(AnthropicMessages, ThinkOnlyWhenAsked) {
  const auto thinking = [](const std::string& more) {
    return std::get<ChatRequest>(read(R"({"model":"m","max_tokens":9,)" + kHi + more + "}").request.input)
        .enable_thinking;
  };
  EXPECT_EQ(thinking(""), false);
  EXPECT_EQ(thinking(R"(,"thinking":{"type":"enabled","budget_tokens":1024})"), true);
}

TEST(AnthropicMessages, ChooseTools) {
  const auto choice = [](const std::string& tool_choice) {
    return read(R"({"model":"m","max_tokens":9,)" + kHi +
                R"(,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":)" + tool_choice +
                "}")
        .request;
  };
  EXPECT_EQ(choice(R"({"type":"any"})").tool_choice, dialog::ToolChoice::kRequired);
  EXPECT_EQ(choice(R"({"type":"none"})").tool_choice, dialog::ToolChoice::kNone);
  EXPECT_EQ(choice(R"({"type":"tool","name":"f"})").tool_name, "f");
  EXPECT_FALSE(choice(R"({"type":"auto","disable_parallel_tool_use":true})").parallel_tools);
}

TEST(AnthropicMessages, RefuseByTheNameOfTheField) {
  EXPECT_EQ(refusal(R"({"model":"m",)" + kHi + "}"), "max_tokens");
  EXPECT_EQ(refusal(R"({"max_tokens":9,)" + kHi + "}"), "model");
  EXPECT_EQ(refusal(R"({"model":"m","max_tokens":9,"messages":[]})"), "messages");
  EXPECT_EQ(
      refusal(R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image"}]}]})"),
      "messages[0].content[0]");
  EXPECT_EQ(refusal(R"({"model":"m","max_tokens":9,)" + kHi +
                    R"(,"tools":[{"type":"web_search_20250305","name":"w"}]})"),
            "tools[0].type");
  EXPECT_EQ(refusal(R"({"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[
    {"type":"thinking","thinking":5}]}]})"),
            "messages[0].content[0].thinking");
}

}  // namespace
}  // namespace kakeya::serve::anthropic
