// Calls as Qwen3-Coder and Llama-3.1 write them: what clients must see, wherever the text is cut. The answers
// have the shapes that the models' publishers show.
#include <random>

#include "dialog/tool_forms_test_support.h"

namespace kakeya::dialog {
namespace {

TEST(CoderCalls, ValuesAreConvertedByTheToolsSchema) {
  expect_parsed(kCoder,
                weather(parameter("city", "Dallas") + parameter("days", "3") + parameter("exact", "true")),
                {"", "", {{"get_weather", R"({"city": "Dallas", "days": 3, "exact": true})"}}});
  expect_parsed(kCoder, weather(""), {"", "", {{"get_weather", "{}"}}});
  expect_parsed(kCoder,
                "<tool_call>\n<function=write_file>\n" + parameter("path", "7") +
                    parameter("content", "line \"1\"\n\n  line 2\n") + parameter("mode", "None") +
                    parameter("tags", "[\"a\", 1]") + parameter("meta", "{\"k\": {}}") +
                    parameter("ratio", "1e3") + "</function>\n</tool_call>",
                {"",
                 "",
                 {{"write_file", R"({"path": "7", "content": "line \"1\"\n\n  line 2\n", "mode": null, )"
                                 R"("tags": ["a", 1], "meta": {"k": {}}, "ratio": 1e3})"}}});
}

TEST(CoderCalls, AValueThatDoesNotFitStaysAString) {
  const std::pair<const char*, const char*> cases[] = {{"days>\nthree", R"({"days": "three"})"},
                                                       {"days>\n1.5", R"({"days": "1.5"})"},
                                                       {"days>\n\"3\"", R"({"days": "\"3\""})"},
                                                       {"days>\n[1]", R"({"days": "[1]"})"},
                                                       {"days>\nnull", R"({"days": "null"})"},
                                                       {"exact>\nFalse", R"({"exact": false})"},
                                                       {"unit>\n5", R"({"unit": "5"})"},
                                                       {"unit>\nNone", R"({"unit": null})"},
                                                       {"city>\n{\"a\": 1}", R"({"city": "{\"a\": 1}"})"},
                                                       {"new>\n3", R"({"new": "3"})"}};
  for (const auto& [text, arguments] : cases) {
    expect_parsed(kCoder, weather("<parameter=" + std::string(text) + "\n</parameter>\n"),
                  {"", "", {{"get_weather", arguments}}});
  }
  // Where the schema says nothing, what is JSON and no string is JSON.
  const ToolSchemas schemas(kFormTools);
  EXPECT_EQ(schemas.argument("write_file", "free", " 3 "), "3");
  EXPECT_EQ(schemas.argument("write_file", "free", "three"), "\"three\"");
  EXPECT_EQ(schemas.argument("write_file", "free", std::string(100000, '[')),
            json_string(std::string(100000, '[')));
  EXPECT_EQ(schemas.argument("no_such_tool", "x", "3"), "\"3\"");
}

TEST(CoderCalls, TextBeforeAndSeveralCalls) {
  const std::string one = weather(parameter("city", "A")), two = weather(parameter("city", "B"));
  expect_parsed(
      kCoder, "I'll look.\n\n" + one + "\n" + two + "\n",
      {"", "I'll look.", {{"get_weather", R"({"city": "A"})"}, {"get_weather", R"({"city": "B"})"}}});
}

TEST(CoderCalls, TagsInsideAValueAreText) {
  const std::string inner = "<a>\n</parameter>\n</b>\n<function=x>\n</tool_call>";
  expect_parsed(kCoder, weather(parameter("city", inner) + parameter("days", "1")),
                {"", "", {{"get_weather", "{\"city\": " + json_string(inner) + ", \"days\": 1}"}}});
}

TEST(CoderCalls, TheOuterTagsMayBeMissing) {
  const std::string inner = "<function=get_weather>\n" + parameter("city", "A") + "</function>";
  const Parsed call = {"", "", {{"get_weather", R"({"city": "A"})"}}};
  expect_parsed(kCoder, inner, call);
  expect_parsed(kCoder, inner + "\n</tool_call>", call);
  expect_parsed(kCoder, inner + "\n</tool_c", call);
  expect_parsed(kCoder, "<tool_call>\n" + inner, call);
  expect_parsed(kCoder, "<tool_call>\n<function=get_weather>\n" + parameter("city", "A") + "</tool_call>",
                call);
  expect_parsed(kCoder, "So:\n" + inner + "\nDone", {"", "So:\nDone", call.calls});
}

TEST(CoderCalls, NamesThatNobodyGaveAreStillCalls) {
  expect_parsed(kCoder, "<tool_call>\n<function=other>\n" + parameter("n", "3") + "</function>\n</tool_call>",
                {"", "", {{"other", R"({"n": "3"})"}}});
}

// Readers of JSON take the last one.
TEST(CoderCalls, AParameterThatComesTwiceIsWrittenTwice) {
  expect_parsed(kCoder, weather(parameter("city", "A") + parameter("days", "1") + parameter("city", "B")),
                {"", "", {{"get_weather", R"({"city": "A", "days": 1, "city": "B"})"}}});
}

TEST(CoderCalls, TheJsonFormIsUnderstoodToo) {
  expect_parsed(kCoder,
                "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"A\"}}\n</tool_call>",
                {"", "", {{"get_weather", R"({"city": "A"})"}}});
}

TEST(CoderCalls, WhatIsCutOrMalformedIsContent) {
  const std::string cut = weather(parameter("city", "Dal") + parameter("days", "1"));
  for (std::size_t size = 1; size < cut.find("</function>") + 11; ++size) {
    const std::string text = "a\n" + cut.substr(0, size);
    expect_parsed(kCoder, text, {"", text, {}});
  }
  for (const char* text :
       {"<function=>", "<tool_call>\n<function=f\n>\n</tool_call>", "use <function=f> here",
        "<tool_call>\nnone\n</tool_call>", "<function=f>\n<parameter=>\n1\n</parameter>\n</function>",
        "a < b", "<tool_call></tool_call>", "<func", "<tool_call>\n<function=f>\nx"}) {
    expect_parsed(kCoder, text, {"", text, {}});
  }
}

TEST(LlamaCalls, AnObjectThatIsTheWholeAnswerIsACall) {
  const Parsed call = {"", "", {{"get_weather", R"({"city": "Paris", "days": 2})"}}};
  const std::string object = R"({"name": "get_weather", "parameters": {"city": "Paris", "days": 2}})";
  expect_parsed(kLlama, object, call);
  expect_parsed(kLlama, "\n" + object + "\n", call);
  expect_parsed(kLlama, "<|python_tag|>" + object, call);
  expect_parsed(kLlama,
                R"({"type": "function", "name": "get_weather", "parameters": {"city": "Paris", "days": 2}})",
                call);
  expect_parsed(kLlama, R"({"parameters": {"city": "Paris", "days": 2}, "name": "get_weather"})", call);
  expect_parsed(kLlama, R"({"name": "get_weather", "arguments": {"city": "Paris", "days": 2}})", call);
}

TEST(LlamaCalls, SeveralAreJoinedBySemicolons) {
  const std::string a = R"({"name": "get_weather", "parameters": {"city": "A; {B}"}})",
                    b = R"({"name": "write_file", "parameters": {"path": "b"}})";
  const Parsed calls = {
      "", "", {{"get_weather", R"({"city": "A; {B}"})"}, {"write_file", R"({"path": "b"})"}}};
  expect_parsed(kLlama, a + "; " + b, calls);
  expect_parsed(kLlama, a + ";" + b + ";\n", calls);
  expect_parsed(kLlama, a + "\n" + b, calls);
  expect_parsed(kLlama, "<|python_tag|>" + a + "; <|python_tag|>" + b, calls);
  expect_parsed(kLlama, a + "; " + b + " Done; {}", {"", " Done; {}", calls.calls});
}

TEST(LlamaCalls, OtherJsonAndTextBeforeAnObjectIsContent) {
  for (const char* text :
       {R"({"name": "Tom", "parameters": {}})", R"({"name": "get_weather"})",
        R"({"name": "get_weather", "age": 3})", R"({"city": "Paris"} )",
        R"(Sure: {"name": "get_weather", "parameters": {}})", "{", "{}", "[1, 2]", "{ 3", "",
        "; {\"name\": \"get_weather\", \"parameters\": {}}", "<|python", "print(1)",
        R"({"name": 3, "parameters": {}})", R"({"name": "get_weather", "parameters": [1]})",
        R"({"names": ["get_weather"]})"}) {
    expect_parsed(kLlama, text, {"", text, {}});
  }
}

TEST(LlamaCalls, OneThatTheEndCutsIsContent) {
  const std::string whole = R"({"name": "get_weather", "parameters": {"city": "Pa\"ris"}})";
  for (std::size_t size = 1; size < whole.size(); size += 5) {
    const std::string text = whole.substr(0, size);
    expect_parsed(kLlama, text, {"", text, {}});
    expect_parsed(kLlama, whole + "; " + text,
                  {"", "; " + text, {{"get_weather", R"({"city": "Pa\"ris"})"}}});
  }
}

// An answer in JSON is not held back until it ends.
TEST(LlamaCalls, WhatCannotBecomeACallIsGivenOutAtOnce) {
  for (const char* text : {"{\"x", "{\"city", "{\"name\": \"To", "{\"name\": 3", "{1", "Hello"}) {
    OutputParser parser(kLlama);
    std::vector<OutputPart> parts;
    parser.push(text, parts);
    std::string out;
    for (const OutputPart& part : parts) out += part.text;
    EXPECT_EQ(out, text);
  }
}

TEST(ToolForms, RandomTextMeansTheSameHoweverItIsCut) {
  const std::vector<std::string> pieces = {"<tool_call>",
                                           "</tool_call>",
                                           "<function=get_weather>",
                                           "<function=",
                                           "</function>",
                                           "<parameter=city>",
                                           "\n",
                                           " ",
                                           "</parameter>",
                                           "<",
                                           "x",
                                           ">",
                                           "{\"name\": \"get_weather\", \"parameters\": {}}",
                                           ";",
                                           "{",
                                           "}",
                                           "\"",
                                           "\\",
                                           "<|python_tag|>",
                                           "{\"name\"",
                                           ": \"write_file\"",
                                           "3",
                                           "<parameter=days>\n3\n</parameter>\n",
                                           "</think>"};
  std::mt19937 random(11);
  for (int round = 0; round < 30000; ++round) {
    RandomText made(pieces, random);
    OutputFormat format = random() % 2 == 0 ? kCoder : kLlama;
    format.reasoning = static_cast<Reasoning>(random() % 3);
    made.cut(random);
    ASSERT_EQ(parse(format, made.cuts), parse(format, {made.text})) << made.text;
  }
}

// Qwen3-Thinking-2507: the prompt opened the reasoning.
TEST(ToolForms, CallsComeBehindReasoningThatThePromptOpened) {
  OutputFormat format = {Reasoning::kOpen, true};
  expect_parsed(
      format,
      "Which tool? <tool_call>\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
      {"Which tool? <tool_call>", "", {{"f", "{}"}}});
  expect_parsed(format, "It takes long", {"It takes long", "", {}});
}

}  // namespace
}  // namespace kakeya::dialog
