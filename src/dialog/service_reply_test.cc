// Whole questions through the service of the embedded pair.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kakeya/session.h>

#include "dialog/dialog.h"

namespace kakeya::dialog {
namespace {

struct Pair {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Service> service;
};

Pair open_pair(const std::string& tool_format = "") {
  EngineOptions options;
  options.draft = "tiny";
  options.threads = 1;
  options.tool_format = tool_format;
  Pair pair;
  auto engine = Engine::open(options);
  EXPECT_TRUE(engine.ok());
  pair.engine = std::move(engine).value();
  auto service = pair.engine->new_service({});
  EXPECT_TRUE(service.ok());
  pair.service = std::move(service).value();
  return pair;
}

DialogRequest question() {
  ChatRequest chat;
  chat.messages = {{"user", "Mia has 3 apples and buys 4 more. How many apples does she have?", {}, {}}};
  DialogRequest request;
  request.input = chat;
  request.max_tokens = 48;
  return request;
}

std::vector<AnswerPart> answer(const Pair& pair, const DialogRequest& request) {
  std::vector<AnswerPart> parts;
  auto reply = ask(*pair.engine, *pair.service, request);
  EXPECT_TRUE(reply.ok()) << reply.error().message;
  while (reply.ok()) {
    auto part = (*reply)->next(std::chrono::minutes(1));
    if (!part) break;
    parts.push_back(std::move(*part));
  }
  return parts;
}

std::string content(const std::vector<AnswerPart>& parts) {
  std::string out;
  for (const AnswerPart& part : parts) out += part.kind == AnswerPart::Kind::kContent ? part.text : "";
  return out;
}

TEST(ServiceReply, WritesWhatASessionWrites) {
  const Pair pair = open_pair();
  DialogRequest request = question();
  request.logprobs = 0;
  const auto parts = answer(pair, request);
  ChatRequest chat = std::get<ChatRequest>(request.input);
  chat.enable_thinking = false;
  const auto prompt = pair.engine->encode_chat(chat);
  ASSERT_TRUE(prompt.ok());
  auto session = pair.engine->new_session({});
  ASSERT_TRUE(session.ok());
  GenerateOptions options;
  options.max_tokens = 48;
  const auto expected = (*session)->generate(*prompt, options);
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(content(parts), expected->text);
  std::vector<Token> ids;
  for (const AnswerPart& part : parts) {
    for (const TokenLogprob& token : part.logprobs) ids.push_back(token.id);
  }
  EXPECT_EQ(pair.engine->decode(ids, false), expected->text);
  ASSERT_EQ(parts.back().kind, AnswerPart::Kind::kFinished);
  const Usage& usage = parts.back().summary->completion.usage;
  EXPECT_EQ(usage.prompt_tokens, prompt->size());
  EXPECT_EQ(usage.output_tokens, expected->ids.size());
}

TEST(ServiceReply, StopStringsEndTheContent) {
  const Pair pair = open_pair();
  DialogRequest request = question();
  const std::string whole = content(answer(pair, request));
  ASSERT_GT(whole.size(), 12u);
  request.stop_strings = {whole.substr(7, 5)};
  const auto parts = answer(pair, request);
  EXPECT_EQ(content(parts), whole.substr(0, whole.find(request.stop_strings[0])));
  EXPECT_EQ(parts.back().summary->completion.stop_string, request.stop_strings[0]);
}

TEST(ServiceReply, GoesOnWithAMessageAsIfItHadWrittenIt) {
  const Pair pair = open_pair();
  DialogRequest request = question();
  const std::string whole = content(answer(pair, request));
  const std::size_t half = whole.find(' ', whole.size() / 2);
  ASSERT_NE(half, std::string::npos);
  std::get<ChatRequest>(request.input).messages.push_back({"assistant", whole.substr(0, half), {}, {}});
  const std::string rest = content(answer(pair, request));
  EXPECT_EQ(whole.substr(0, half) + rest.substr(0, whole.size() - half), whole);
}

// The pair never learned to call tools: the constraint alone makes these calls.
TEST(ServiceReply, ForcedCallsAreCallsInEachForm) {
  for (const char* form : {"qwen3", "qwen3-coder"}) {
    const Pair pair = open_pair(form);
    for (const ToolChoice choice : {ToolChoice::kRequired, ToolChoice::kNamed}) {
      DialogRequest request = question();
      std::get<ChatRequest>(request.input).tools_json = {
          R"({"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer","minimum":0,"maximum":99},
              "unit":{"enum":["apples","pears"]}},"required":["a","unit"]}})",
          R"({"name":"stop","parameters":{}})"};
      request.tool_choice = choice;
      request.tool_name = "add";
      request.parallel_tools = false;
      request.max_tokens = 120;
      std::string name, arguments, rest;
      for (const AnswerPart& part : answer(pair, request)) {
        if (part.kind == AnswerPart::Kind::kToolCall) name += part.tool_name;
        (part.kind == AnswerPart::Kind::kToolArguments ? arguments : rest) += part.text;
      }
      EXPECT_EQ(rest, "") << form;
      if (choice == ToolChoice::kNamed || name == "add") {
        EXPECT_EQ(name, "add") << form;
        EXPECT_THAT(arguments, ::testing::MatchesRegex(
                                   "[{]\\s*\"a\":\\s*[0-9]+,\\s*\"unit\":\\s*\"(apples|pears)\"\\s*[}]"));
      } else {
        EXPECT_EQ(name, "stop") << form;
      }
    }
  }
}

TEST(ServiceReply, AToolFormatThatTheTokensRuleOutIsRefused) {
  EngineOptions options;
  options.tool_format = "llama3";
  const auto engine = Engine::open(options);
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().code, ErrorCode::kUnsupported);
  options.tool_format = "hermes";
  EXPECT_EQ(Engine::open(options).error().code, ErrorCode::kInvalidArgument);
}

TEST(ServiceReply, AnswersToTheContextOfASlot) {
  Pair pair = open_pair();
  ServiceOptions options;
  options.session.max_tokens = 40;
  pair.service.reset();
  auto service = pair.engine->new_service(options);
  ASSERT_TRUE(service.ok());
  pair.service = std::move(service).value();
  DialogRequest request;
  request.input = std::vector<Token>(36, 5);
  request.max_tokens = 32000;
  request.ignore_stop = true;
  EXPECT_EQ(answer(pair, request).back().summary->completion.usage.output_tokens, 4u);
  request.input = std::vector<Token>(40, 5);
  const auto refused = ask(*pair.engine, *pair.service, request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kContextOverflow);
  EXPECT_TRUE(refused.error().message.starts_with("This model's maximum context length is 40 tokens."));
}

}  // namespace
}  // namespace kakeya::dialog
