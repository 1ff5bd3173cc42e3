// Parts of an answer, and the tokens that belong to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "dialog/test_support.h"
#include "dialog/tool_call.h"

namespace kakeya::dialog {
namespace {

using Kind = AnswerPart::Kind;

// The bytes of `text` that are whole characters.
std::size_t whole(const std::string& text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(4, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const std::size_t length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > back ? text.size() - back : text.size();
  }
  return text.size();
}

// The events of a model that writes `text`, `at_once` tokens each.
std::deque<ServiceEvent> events_of(const Engine& engine, const std::string& text, std::size_t at_once) {
  std::deque<ServiceEvent> events;
  events.push_back(event_of(ServiceEvent::Kind::kStarted));
  events.back().slot = 3;
  events.back().prompt_tokens = 9;
  events.back().cached_tokens = 4;
  events.push_back(event_of(ServiceEvent::Kind::kProgress));
  events.back().done = 9;
  auto ids = *engine.encode(text, true);
  ids.push_back(engine.stop_ids().front());
  std::string bytes;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i % at_once == 0) events.push_back(event_of(ServiceEvent::Kind::kText));
    ServiceEvent& event = events.back();
    event.elapsed_ms = 5;
    event.ids.push_back(ids[i]);
    event.logprobs.push_back({ids[i], -static_cast<float>(i), {}});
    event.drafted.push_back(static_cast<std::uint8_t>(i % 2));
    bytes += engine.decode({&ids[i], 1}, true);
    const std::size_t size = whole(bytes);
    event.text += bytes.substr(0, size);
    bytes.erase(0, size);
  }
  events.push_back(event_of(ServiceEvent::Kind::kFinished));
  events.back().completion.finish = FinishReason::kStop;
  return events;
}

std::vector<AnswerPart> parts_of(DialogRequest request, const std::string& text, std::size_t at_once) {
  TestEngine engine;
  ScriptedService service(4096);
  service.script = events_of(engine, text, at_once);
  auto reply = ask(engine, service, std::move(request));
  EXPECT_TRUE(reply.ok());
  std::vector<AnswerPart> parts;
  if (!reply.ok()) return parts;
  while (auto part = (*reply)->next(std::chrono::milliseconds(0))) parts.push_back(std::move(*part));
  return parts;
}

std::string joined(const std::vector<AnswerPart>& parts, Kind kind) {
  std::string out;
  for (const AnswerPart& part : parts) out += part.kind == kind ? part.text : "";
  return out;
}

// The tokens of all parts of a kind, as text.
std::string tokens_of(const std::vector<AnswerPart>& parts, Kind kind) {
  TestEngine engine;
  std::vector<Token> ids;
  for (const AnswerPart& part : parts) {
    if (part.kind != kind) continue;
    EXPECT_EQ(part.ids.size(), part.logprobs.size());
    EXPECT_EQ(part.ids.size(), part.drafted.size());
    for (std::size_t i = 0; i < part.ids.size(); ++i) {
      EXPECT_EQ(part.ids[i], part.logprobs[i].id);
      ids.push_back(part.ids[i]);
    }
  }
  return engine.decode(ids, false);
}

DialogRequest thinking_with_tools() {
  DialogRequest request = user_says("Hi");
  chat_of(request).tools_json = {tool("f"), tool("g")};
  chat_of(request).enable_thinking = true;
  request.logprobs = 0;
  return request;
}

TEST(Reply, TokensOfContentJoinToTheContent) {
  const std::string text =
      "<think>\nIs 7 prime? Yes \xe2\x80\x94 so \xf0\x9f\x8e\x89.\n</think>\n\n\xc3\x9c"
      "ber 7: "
      "\xe6\x97\xa5\xe6\x9c\xac "
      "x = 3.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 7}}\n</tool_call>\n<tool_call>\n"
      "{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";
  for (std::size_t at_once = 1; at_once < 40; ++at_once) {
    const auto parts = parts_of(thinking_with_tools(), text, at_once);
    const std::string content =
        "\xc3\x9c"
        "ber 7: \xe6\x97\xa5\xe6\x9c\xac x = 3.";
    EXPECT_EQ(joined(parts, Kind::kContent), content);
    EXPECT_THAT(tokens_of(parts, Kind::kContent), ::testing::StartsWith(content)) << at_once;
    EXPECT_EQ(joined(parts, Kind::kReasoning), "Is 7 prime? Yes \xe2\x80\x94 so \xf0\x9f\x8e\x89.");
    EXPECT_EQ(joined(parts, Kind::kToolArguments), "{\"x\": 7}{}");
  }
}

TEST(Reply, APlainAnswerKeepsEveryTokenButTheStop) {
  const std::string text = "The answer is 12.\n\nIt <b>is</b> \xf0\x9f\x8e\x89!  \n";
  for (std::size_t at_once = 1; at_once < 20; ++at_once) {
    const auto parts = parts_of(user_says("Hi"), text, at_once);
    EXPECT_EQ(joined(parts, Kind::kContent), text);
    EXPECT_EQ(tokens_of(parts, Kind::kContent), text) << at_once;
  }
}

TEST(Reply, MalformedCallsKeepTheirTokens) {
  const std::string text = "So: <tool_call>\n{\"name\": oops}\n</tool_call>";
  for (std::size_t at_once = 1; at_once < 20; ++at_once) {
    const auto parts = parts_of(thinking_with_tools(), text, at_once);
    EXPECT_EQ(joined(parts, Kind::kContent), text);
    EXPECT_EQ(tokens_of(parts, Kind::kContent), text);
    EXPECT_FALSE(parts.back().summary->tool_calls);
    EXPECT_EQ(parts.back().summary->reasoning_tokens, 0u);
  }
}

TEST(Reply, CallsAreCountedNamedAndHaveIdsOfTheirOwn) {
  const auto parts =
      parts_of(thinking_with_tools(),
               "<think>\nHm.\n</think>\n\n<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}</tool_call>\n"
               "<tool_call>{\"name\":\"g\",\"arguments\":{}}</tool_call>",
               3);
  std::vector<std::string> seen;
  std::set<std::string> ids;
  std::size_t pieces = 0;
  for (const AnswerPart& part : parts) {
    if (part.kind == Kind::kToolCall) {
      seen.push_back(std::to_string(part.call_index) + part.tool_name);
      ids.insert(part.call_id);
    } else if (part.kind == Kind::kToolArguments) {
      ASSERT_EQ(part.call_index + 1, seen.size());
      EXPECT_NE(part.text, "");
      seen.back() += part.text;
      ++pieces;
    }
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"0f{\"a\":1}", "1g{}"}));
  EXPECT_GT(pieces, 2u);  // the arguments come as they are written
  EXPECT_EQ(ids.size(), 2u);
  ASSERT_EQ(parts.back().kind, Kind::kFinished);
  EXPECT_TRUE(parts.back().summary->tool_calls);
  TestEngine engine;
  EXPECT_EQ(parts.back().summary->reasoning_tokens, engine.encode("<think>\nHm.\n</think>", true)->size());
}

TEST(Reply, CallIdsAreDifferentAndOfTheKnownForm) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = new_call_id();
    EXPECT_EQ(id.size(), 29u);
    EXPECT_TRUE(id.starts_with("call_"));
    EXPECT_EQ(id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 5),
              std::string::npos);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(Reply, OrderIsStartedProgressPartsFinished) {
  const auto parts = parts_of(user_says("Hi"), "Yes.", 1);
  ASSERT_GE(parts.size(), 4u);
  EXPECT_EQ(parts[0].kind, Kind::kStarted);
  EXPECT_EQ(parts[0].slot, 3);
  EXPECT_EQ(parts[0].prompt_tokens, 9u);
  EXPECT_EQ(parts[0].cached_tokens, 4u);
  EXPECT_EQ(parts[1].kind, Kind::kProgress);
  EXPECT_EQ(parts[1].done, 9u);
  EXPECT_EQ(parts[2].kind, Kind::kContent);
  EXPECT_EQ(parts[2].elapsed_ms, 5);
  EXPECT_EQ(parts.back().kind, Kind::kFinished);
  EXPECT_EQ(parts.back().summary->completion.finish, FinishReason::kStop);
}

TEST(Reply, RawOutputIsContentWithAllItsTokens) {
  DialogRequest request = user_says("Hi");
  request.parse_output = false;
  const std::string text = "<think>\na\n</think>\n\n<tool_call>{}";
  const auto parts = parts_of(request, text, 2);
  TestEngine engine;
  EXPECT_EQ(joined(parts, Kind::kContent), text);
  EXPECT_EQ(tokens_of(parts, Kind::kContent), text + engine.decode({&engine.stop_ids()[0], 1}, false));
  EXPECT_EQ(joined(parts, Kind::kReasoning), "");
}

// With thinking off, and where a raw prompt ends inside <think>.
TEST(Reply, ThePromptSaysWhatTheOutputBeginsWith) {
  EXPECT_EQ(joined(parts_of(user_says("Hi"), "<think>a</think>b", 1), Kind::kContent), "<think>a</think>b");
  TestEngine engine;
  DialogRequest raw;
  raw.input = *engine.encode("<|im_start|>assistant\n<think>\n", true);
  const auto parts = parts_of(raw, "a\n</think>\n\nb", 1);
  EXPECT_EQ(joined(parts, Kind::kReasoning), "a");
  EXPECT_EQ(joined(parts, Kind::kContent), "b");
}

TEST(Reply, WaitsFailsAndCancelsAsTheAnswerDoes) {
  TestEngine engine;
  ScriptedService service;
  service.script.push_back(event_of(ServiceEvent::Kind::kProgress));
  service.script.back().done = 77;  // a pause
  service.script.push_back(event_of(ServiceEvent::Kind::kText));
  service.script.back().text = "a";
  service.script.push_back(event_of(ServiceEvent::Kind::kFailed));
  service.script.back().error = {ErrorCode::kNumeric, "NaN"};
  auto reply = ask(engine, service, user_says("Hi"));
  ASSERT_TRUE(reply.ok());
  EXPECT_FALSE((*reply)->next(std::chrono::milliseconds(0)));
  EXPECT_EQ((*reply)->next(std::chrono::milliseconds::max())->text, "a");
  const auto failed = (*reply)->next(std::chrono::milliseconds(0));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->kind, Kind::kFailed);
  EXPECT_EQ(failed->error.message, "NaN");
  EXPECT_FALSE((*reply)->next(std::chrono::milliseconds(0)));
  (*reply)->cancel();
  EXPECT_TRUE(service.cancelled);
}

}  // namespace
}  // namespace kakeya::dialog
