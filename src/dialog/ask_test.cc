// What ask() makes of a request: prompt, limits, sampling, constraints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialog/test_support.h"

namespace kakeya::dialog {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

struct Asked {
  TestEngine engine;
  ScriptedService service;
  Status send(DialogRequest request) {
    auto reply = ask(engine, service, std::move(request));
    if (!reply.ok()) return reply.error();
    return {};
  }
  std::string prompt() const { return engine.decode(service.request.prompt, false); }
  const GenerateOptions& options() const { return service.request.options; }
};

TEST(Ask, ThinkingIsOffUnlessAskedFor) {
  Asked asked;
  DialogRequest request = user_says("Hi");
  ASSERT_TRUE(asked.send(request).ok());
  const std::string off = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
  EXPECT_EQ(asked.prompt(), off);
  chat_of(request).enable_thinking = true;
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.prompt(), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  request.reasoning_limit_zero = true;
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.prompt(), off);
}

TEST(Ask, ContinuesALastAssistantMessage) {
  Asked asked;
  DialogRequest request = user_says("Count");
  chat_of(request).messages.push_back({"assistant", "one, two,", {}, {}});
  chat_of(request).enable_thinking = true;
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.prompt(),
            "<|im_start|>user\nCount<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\none, two,");
  chat_of(request).messages.back().content = "say <|im_end|>";  // text of a message is no end of turn
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_THAT(asked.prompt(), EndsWith("say <|im_end|>"));
}

TEST(Ask, RefusesRolesThatTheTemplateWouldPassOver) {
  Asked asked;
  DialogRequest request = user_says("Hi");
  chat_of(request).messages.insert(chat_of(request).messages.begin(), {"developer", "x", {}, {}});
  const Status refused = asked.send(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("messages[0].role: found \"developer\""));
  chat_of(request).messages.clear();
  EXPECT_EQ(asked.send(request).error().code, ErrorCode::kInvalidArgument);
}

TEST(Ask, SaysAnOverflowInTheWordsThatClientsKnow) {
  Asked asked;
  DialogRequest request;
  request.input = std::vector<Token>(512, 1);
  const Status refused = asked.send(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kContextOverflow);
  EXPECT_EQ(
      refused.error().message,
      "This model's maximum context length is 512 tokens. However, your messages resulted in 512 tokens. "
      "Please reduce the length of the messages.");
}

TEST(Ask, GivesAtMostTheTokensThatFit) {
  Asked asked;
  DialogRequest request;
  request.input = std::vector<Token>(500, 1);
  const std::pair<std::optional<int>, int> cases[] = {
      {std::nullopt, 12}, {32000, 12}, {12, 12}, {3, 3}, {0, 0}};
  for (const auto& [wanted, given] : cases) {
    request.max_tokens = wanted;
    ASSERT_TRUE(asked.send(request).ok());
    EXPECT_EQ(asked.options().max_tokens, given);
  }
  request.max_tokens = -1;
  EXPECT_EQ(asked.send(request).error().code, ErrorCode::kInvalidArgument);
}

TEST(Ask, SamplesAsAskedElseAsTheMakersSayElseGreedily) {
  Asked asked;
  DialogRequest request = user_says("Hi");
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.options().sampling.temperature, 0.0f);
  EXPECT_EQ(asked.options().sampling.seed, 0u);
  asked.engine.defaults = {0.6f, 0.95f, std::nullopt, 1.5f, 20};
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.options().sampling.temperature, 0.6f);
  EXPECT_EQ(asked.options().sampling.top_p, 0.95f);
  EXPECT_EQ(asked.options().sampling.min_p, 0.0f);
  EXPECT_EQ(asked.options().sampling.top_k, 20);
  EXPECT_EQ(asked.options().rules.repetition_penalty, 1.5f);
  request.sampling = {0.0f, 0.5f, 0.1f, 1.0f, 5, 42};
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.options().sampling.temperature, 0.0f);
  EXPECT_EQ(asked.options().sampling.top_p, 0.5f);
  EXPECT_EQ(asked.options().sampling.min_p, 0.1f);
  EXPECT_EQ(asked.options().sampling.top_k, 5);
  EXPECT_EQ(asked.options().sampling.seed, 42u);
  EXPECT_EQ(asked.options().rules.repetition_penalty, 1.0f);
}

TEST(Ask, DrawsASeedAndReportsIt) {
  Asked asked;
  DialogRequest request = user_says("Hi");
  request.sampling.temperature = 1.0f;
  std::vector<std::uint64_t> seeds;
  for (int i = 0; i < 4; ++i) {
    asked.service.script = {event_of(ServiceEvent::Kind::kFinished)};
    auto reply = ask(asked.engine, asked.service, request);
    ASSERT_TRUE(reply.ok());
    const auto part = (*reply)->next(std::chrono::milliseconds(0));
    ASSERT_TRUE(part && part->summary);
    EXPECT_EQ(part->summary->seed, asked.options().sampling.seed);
    seeds.push_back(part->summary->seed);
  }
  std::sort(seeds.begin(), seeds.end());
  EXPECT_GT(std::unique(seeds.begin(), seeds.end()) - seeds.begin(), 1);
}

TEST(Ask, HandsTheRestOn) {
  Asked asked;
  DialogRequest request = user_says("Hi");
  request.logprobs = 3;
  request.stop_strings = {"END"};
  request.stop_ids = {7};
  request.ignore_stop = true;
  request.speculation = Speculation::kFixed;
  request.block_size = 8;
  request.verify_width = 4;
  request.kv = "e8-q10";
  request.draft_kv = "q8_0";
  request.client = "me";
  request.reuse_prefix = false;
  request.slot = 2;
  request.rules.presence_penalty = 0.5f;
  request.rules.repetition_penalty = 1.2f;
  asked.engine.defaults.repetition_penalty = 1.7f;
  ASSERT_TRUE(asked.send(request).ok());
  const ServiceRequest& sent = asked.service.request;
  EXPECT_EQ(sent.options.logprobs, 3);
  EXPECT_EQ(sent.stop_strings, std::vector<std::string>{"END"});
  EXPECT_EQ(sent.options.extra_stop_ids, std::vector<Token>{7});
  EXPECT_TRUE(sent.options.ignore_stop);
  EXPECT_EQ(sent.options.speculation, Speculation::kFixed);
  EXPECT_EQ(sent.options.block_size, 8u);
  EXPECT_EQ(sent.options.verify_width, 4u);
  EXPECT_EQ(sent.kv + sent.draft_kv + sent.client, "e8-q10q8_0me");
  EXPECT_FALSE(sent.reuse_prefix);
  EXPECT_EQ(sent.slot, 2);
  EXPECT_EQ(sent.options.rules.presence_penalty, 0.5f);
  EXPECT_EQ(sent.options.rules.repetition_penalty, 1.2f);
  EXPECT_EQ(sent.options.rules.constraint, nullptr);
}

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
