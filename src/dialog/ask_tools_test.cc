// What ask() makes of tools and formats: constraints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialog/test_support.h"

namespace kakeya::dialog {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

DialogRequest with_tools(ToolChoice choice) {
  DialogRequest request = user_says("Hi");
  chat_of(request).tools_json = {tool("f"), tool("g")};
  request.tool_choice = choice;
  return request;
}

TEST(Ask, ToolChoiceAutoConstrainsFromTheCallOn) {
  Asked asked;
  DialogRequest request = with_tools(ToolChoice::kAuto);
  request.parallel_tools = false;
  ASSERT_TRUE(asked.send(request).ok());
  ASSERT_EQ(asked.engine.constraints.size(), 1u);
  const ConstraintSpec& spec = asked.engine.constraints[0];
  EXPECT_EQ(spec.kind, ConstraintKind::kToolCalls);
  EXPECT_EQ(spec.tools_json, chat_of(request).tools_json);
  EXPECT_EQ(spec.after, "<tool_call>");
  EXPECT_TRUE(spec.optional);
  EXPECT_FALSE(spec.parallel);
  EXPECT_THAT(asked.prompt(), HasSubstr("# Tools"));
  EXPECT_NE(asked.options().rules.constraint, nullptr);
}

TEST(Ask, ToolChoiceRequiredAndNamedConstrainAtOnceOrAfterTheReasoning) {
  for (const bool thinking : {false, true}) {
    Asked asked;
    DialogRequest request = with_tools(ToolChoice::kRequired);
    chat_of(request).enable_thinking = thinking;
    ASSERT_TRUE(asked.send(request).ok());
    request.tool_choice = ToolChoice::kNamed;
    request.tool_name = "g";
    ASSERT_TRUE(asked.send(request).ok());
    EXPECT_THAT(asked.prompt(), HasSubstr("\"name\": \"f\""));  // the prompt still knows both
    ASSERT_EQ(asked.engine.constraints.size(), 2u);
    for (const ConstraintSpec& spec : asked.engine.constraints) {
      EXPECT_EQ(spec.kind, ConstraintKind::kToolCalls);
      EXPECT_EQ(spec.after, thinking ? "</think>" : "");
      EXPECT_FALSE(spec.optional);
    }
    EXPECT_EQ(asked.engine.constraints[0].tools_json.size(), 2u);
    EXPECT_EQ(asked.engine.constraints[1].tools_json, std::vector<std::string>{tool("g")});
  }
}

TEST(Ask, CallsAreForcedInTheFormOfTheModelsTemplate) {
  const std::pair<const char*, ToolFormat> forms[] = {{"qwen3", ToolFormat::kQwen3},
                                                      {"qwen3-thinking", ToolFormat::kQwen3},
                                                      {"qwen3-coder", ToolFormat::kQwen3Coder},
                                                      {"llama3.1", ToolFormat::kLlama3}};
  for (const auto& [family, form] : forms) {
    for (const ToolChoice choice : {ToolChoice::kAuto, ToolChoice::kRequired}) {
      Asked asked;
      asked.engine.family = family;
      ASSERT_TRUE(asked.send(with_tools(choice)).ok());
      ASSERT_EQ(asked.engine.constraints.size(), 1u);
      const ConstraintSpec& spec = asked.engine.constraints[0];
      EXPECT_EQ(spec.tool_format, form) << family;
      const bool waits = choice == ToolChoice::kAuto && form != ToolFormat::kLlama3;
      EXPECT_EQ(spec.after, waits ? "<tool_call>" : "") << family;
      EXPECT_EQ(spec.optional, waits) << family;
    }
  }
}

TEST(Ask, ToolChoiceNoneHidesTheTools) {
  Asked asked;
  ASSERT_TRUE(asked.send(with_tools(ToolChoice::kNone)).ok());
  EXPECT_THAT(asked.prompt(), Not(HasSubstr("# Tools")));
  EXPECT_TRUE(asked.engine.constraints.empty());
}

TEST(Ask, RefusesChoicesThatCannotBe) {
  Asked asked;
  DialogRequest request = with_tools(ToolChoice::kNamed);
  request.tool_name = "h";
  EXPECT_THAT(asked.send(request).error().message, HasSubstr("\"h\""));
  request = user_says("Hi");
  request.tool_choice = ToolChoice::kRequired;
  EXPECT_THAT(asked.send(request).error().message, HasSubstr("without tools"));
  request = user_says("Hi");
  chat_of(request).tools_json = {R"({"type":"function","function":{}})"};
  EXPECT_THAT(asked.send(request).error().message, HasSubstr("tools[0]"));
}

TEST(Ask, ASchemaThatCannotBeKeptIsRefusedOnlyWhereItIsStrict) {
  Asked asked;
  asked.engine.refused = "patternProperties";
  DialogRequest request = with_tools(ToolChoice::kAuto);
  chat_of(request).tools_json.push_back(tool("odd", R"(,"parameters":{"patternProperties":{}})"));
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.engine.constraints.back().tools_json[0], tool("f"));
  EXPECT_EQ(asked.engine.constraints.back().tools_json[2], tool("odd", R"(,"parameters":{"type":"object"})"));
  chat_of(request).tools_json.back() = tool("odd", R"(,"strict":true,"parameters":{"patternProperties":{}})");
  const Status refused = asked.send(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("tools[2] (odd): schema: patternProperties"));
}

TEST(Ask, AFormatTakesHoldAfterTheReasoning) {
  for (const bool thinking : {false, true}) {
    Asked asked;
    DialogRequest request = user_says("Hi");
    chat_of(request).enable_thinking = thinking;
    request.format.emplace();
    request.format->kind = ConstraintKind::kJsonSchema;
    ASSERT_TRUE(asked.send(request).ok());
    ASSERT_EQ(asked.engine.constraints.size(), 1u);
    EXPECT_EQ(asked.engine.constraints[0].kind, ConstraintKind::kJsonSchema);
    EXPECT_EQ(asked.engine.constraints[0].after, thinking ? "</think>" : "");
  }
}

std::vector<Token> allowed_by(TokenConstraint& constraint, std::size_t vocab) {
  std::vector<std::uint64_t> bits((vocab + 63) / 64);
  constraint.allowed(bits);
  std::vector<Token> out;
  for (std::size_t i = 0; i < bits.size() * 64; ++i) {
    if (bits[i / 64] >> (i % 64) & 1) out.push_back(static_cast<Token>(i));
  }
  return out;
}

// The test engine's n-th constraint allows token n alone.
TEST(Ask, ToolsAndAFormatMeanEither) {
  for (const Token first : {1, 2}) {
    Asked asked;
    DialogRequest request = with_tools(ToolChoice::kAuto);
    request.format = ConstraintSpec{};
    ASSERT_TRUE(asked.send(request).ok());
    ASSERT_EQ(asked.engine.constraints.size(), 2u);
    EXPECT_EQ(asked.engine.constraints[1].after, "");  // calls at once: free text is not in the format
    TokenConstraint& either = *asked.options().rules.constraint;
    EXPECT_EQ(allowed_by(either, 128), (std::vector<Token>{1, 2}));
    either.accept(first);
    EXPECT_EQ(allowed_by(either, 128), std::vector<Token>{first});
  }
  Asked asked;
  DialogRequest request = with_tools(ToolChoice::kRequired);
  request.format = ConstraintSpec{};
  ASSERT_TRUE(asked.send(request).ok());
  ASSERT_EQ(asked.engine.constraints.size(), 1u);
  EXPECT_EQ(asked.engine.constraints[0].kind, ConstraintKind::kToolCalls);
}

TEST(Ask, CallsInTheReasoningAreNotConstrained) {
  Asked asked;
  DialogRequest request = with_tools(ToolChoice::kAuto);
  chat_of(request).enable_thinking = true;
  ASSERT_TRUE(asked.send(request).ok());
  TokenConstraint& constraint = *asked.options().rules.constraint;
  const std::size_t vocab = asked.engine.target().vocab_size;
  const auto write = [&](const std::string& text, bool parse) {
    const auto ids = asked.engine.encode(text, parse);
    ASSERT_TRUE(ids.ok());
    for (const Token id : *ids) constraint.accept(id);
  };
  write("<think>\nA <tool_call>", true);
  write("</thin", false);
  EXPECT_EQ(allowed_by(constraint, vocab).size(), vocab);
  write("k>", false);  // spelled, not the token
  EXPECT_EQ(allowed_by(constraint, vocab), std::vector<Token>{1});
}

}  // namespace
}  // namespace kakeya::dialog
