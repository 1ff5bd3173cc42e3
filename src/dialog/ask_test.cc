// What ask() makes of a request: prompt, limits, sampling, constraints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialog/test_support.h"

namespace kakeya::dialog {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace kakeya::dialog
