// Stop strings of a request with tools: of what the answer shows, not of its calls.
#include "dialog/stop_filter.h"

#include <gtest/gtest.h>

#include "dialog/test_support.h"

namespace kakeya::dialog {
namespace {

using Kind = AnswerPart::Kind;

constexpr const char* kOneCall =
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"a\\n b\"}}\n</tool_call>";

struct Answered {
  std::string content, reasoning, arguments;
  std::vector<Token> content_ids;
  Summary summary;
  bool cancelled = false;
  std::size_t tokens = 0;  // of all that the model wrote
  std::vector<std::string> left_to_service;
};

// A model that writes `text`, `at_once` tokens a pass, up to the limit.
Answered answered(const std::string& text, std::vector<std::string> stops, std::size_t at_once,
                  FinishReason finish = FinishReason::kLength, ToolChoice choice = ToolChoice::kAuto) {
  TestEngine engine;
  ScriptedService service(4096);
  const std::vector<Token> ids = *engine.encode(text, true);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i % at_once == 0) service.script.push_back(event_of(ServiceEvent::Kind::kText));
    service.script.back().ids.push_back(ids[i]);
    service.script.back().text += engine.decode({&ids[i], 1}, true);
  }
  service.script.push_back(event_of(ServiceEvent::Kind::kFinished));
  service.script.back().completion.finish = finish;
  service.script.back().completion.usage.output_tokens = ids.size();
  DialogRequest request = user_says("Hi");
  chat_of(request).tools_json = {tool("f")};
  chat_of(request).enable_thinking = true;
  request.stop_strings = std::move(stops);
  request.tool_choice = choice;
  auto reply = ask(engine, service, std::move(request));
  Answered out;
  EXPECT_TRUE(reply.ok());
  if (!reply.ok()) return out;
  while (auto part = (*reply)->next(std::chrono::milliseconds(0))) {
    if (part->kind == Kind::kContent) {
      out.content += part->text;
      out.content_ids.insert(out.content_ids.end(), part->ids.begin(), part->ids.end());
    }
    if (part->kind == Kind::kReasoning) out.reasoning += part->text;
    if (part->kind == Kind::kToolArguments) out.arguments += part->text;
    if (part->summary) out.summary = *part->summary;
  }
  out.cancelled = service.cancelled;
  out.tokens = ids.size();
  out.left_to_service = service.request.stop_strings;
  return out;
}

TEST(StopFilter, CallsAreNotCutByTheirOwnText) {
  for (std::size_t at_once = 1; at_once < 30; ++at_once) {
    for (const char* stop : {"\n", "<tool_call>", "name", "tool", "}"}) {
      const Answered got = answered(kOneCall, {stop}, at_once);
      EXPECT_EQ(got.arguments, R"({"x": "a\n b"})") << stop;
      EXPECT_EQ(got.content, "") << stop;
      EXPECT_EQ(got.summary.completion.finish, FinishReason::kLength);
      EXPECT_EQ(got.summary.completion.stop_string, "");
      EXPECT_TRUE(got.summary.tool_calls);
      EXPECT_FALSE(got.cancelled);
      EXPECT_TRUE(got.left_to_service.empty());
    }
  }
}

TEST(StopFilter, ContentEndsBeforeTheStringHoweverItArrives) {
  const std::string text = "<think>\nsix, END, seven\n</think>\n\nIt is six, EN or so. END of it\n\n";
  for (std::size_t at_once = 1; at_once < 30; ++at_once) {
    const Answered got = answered(text + kOneCall, {"xyz", "END"}, at_once);
    EXPECT_EQ(got.content, "It is six, EN or so. ") << at_once;
    EXPECT_EQ(got.reasoning, "six, END, seven");
    EXPECT_EQ(got.arguments, "");
    EXPECT_EQ(got.summary.completion.finish, FinishReason::kStop);
    EXPECT_EQ(got.summary.completion.stop_string, "END");
    EXPECT_FALSE(got.summary.tool_calls);  // not the one behind the string
    EXPECT_TRUE(got.cancelled);
    TestEngine engine;
    const std::size_t to_the_end = engine.encode(text.substr(0, text.rfind("END") + 3), true)->size();
    EXPECT_EQ(got.summary.completion.usage.output_tokens, to_the_end) << at_once;
    EXPECT_LT(to_the_end, got.tokens);
    EXPECT_TRUE(engine.decode(got.content_ids, false).starts_with("It is six, EN or so.")) << at_once;
  }
}

TEST(StopFilter, AStringThatOnlyBeganIsShown) {
  const Answered got = answered("Seven. E", {"END"}, 1, FinishReason::kStop);
  EXPECT_EQ(got.content, "Seven. E");
  EXPECT_EQ(got.summary.completion.stop_string, "");
  const Answered held = answered("Seven\n", {"\n"}, 1);  // white space that waited for a call
  EXPECT_EQ(held.content, "Seven");
  EXPECT_EQ(held.summary.completion.finish, FinishReason::kStop);
}

TEST(StopFilter, TheEarliestStringWinsAndPlacesAreExact) {
  StopFilter filter({"cd", "bcde", ""});
  std::vector<OutputPart> out;
  const auto part = [](const std::string& text, std::size_t begin) {
    OutputPart made;
    made.text = text;
    made.begin = begin;
    made.end = begin + text.size();
    return made;
  };
  filter.pass(part("xab", 10), out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].text, "xa");
  EXPECT_EQ(out[0].end, 12u);
  filter.pass(part("cde", 20), out);
  EXPECT_EQ(filter.found(), "bcde");
  EXPECT_EQ(filter.end(), 23u);
  filter.pass(part("more", 30), out);
  filter.finish(out);
  EXPECT_EQ(out.size(), 1u);
}

TEST(StopFilter, WithoutToolsTheServiceLooksForThem) {
  Asked asked;
  DialogRequest request = user_says("Hi");
  request.stop_strings = {"END"};
  ASSERT_TRUE(asked.send(request).ok());
  EXPECT_EQ(asked.service.request.stop_strings, std::vector<std::string>{"END"});
}

TEST(CutCalls, LeaveNothingOfTheirTags) {
  const std::string call = kOneCall;
  for (std::size_t size = std::string("<tool_call>").size(); size < call.find("arguments"); ++size) {
    for (const FinishReason finish : {FinishReason::kLength, FinishReason::kStop}) {
      EXPECT_EQ(answered(call.substr(0, size), {}, 1, finish).content, "") << size;
      EXPECT_EQ(answered("Yes.\n" + call.substr(0, size), {}, 3, finish).content, "Yes.") << size;
    }
  }
  EXPECT_EQ(answered("2 <", {}, 1).content, "2 <");  // may be no tag at all
  EXPECT_EQ(answered("<tool_", {}, 1, FinishReason::kLength, ToolChoice::kRequired).content, "");
}

}  // namespace
}  // namespace kakeya::dialog
