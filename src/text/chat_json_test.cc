// JSON inside chats as Python prints it, and requests read from JSON.
#include "text/chat_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kakeya/chat.h>

#include <nlohmann/json.hpp>

namespace kakeya::text {
namespace {

using ::testing::HasSubstr;

// Values printed by Python 3.
TEST(PythonStr, PrintsWhatStrPrints) {
  const auto value =
      nlohmann::ordered_json::parse(R"(["it's", "a\"b'\n", null, true, {"k": [1.0, 2]}, "\u0001é"])");
  EXPECT_EQ(python_str(value), R"PY(["it's", 'a"b\'\n', None, True, {'k': [1.0, 2]}, '\x01é'])PY");
  EXPECT_EQ(python_str("it's"), "it's");
  EXPECT_EQ(python_str(false), "False");
}

TEST(PythonDumps, IndentsAsPythonDoes) {
  const auto value = nlohmann::ordered_json::parse(R"({"a": [], "b": {"c": [1, "é"]}, "d": {}})");
  EXPECT_EQ(python_dumps_indented(value),
            "{\n    \"a\": [],\n    \"b\": {\n        \"c\": [\n            1,\n            \"é\"\n        "
            "]\n    },\n"
            "    \"d\": {}\n}");
}

// Values printed by Python 3.
TEST(PythonFloat, PrintsWhatReprPrints) {
  const std::pair<double, const char*> cases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {100.0, "100.0"},
      {0.1, "0.1"},
      {123.456, "123.456"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {1.5e16, "1.5e+16"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {0.000012, "1.2e-05"},
      {5e-324, "5e-324"},
      {1e100, "1e+100"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
  };
  for (const auto& [value, expected] : cases) EXPECT_EQ(python_float(value), expected);
}

TEST(ChatRequest, TakesBothFormsOfToolCallsAndDefaults) {
  const auto request = parse_chat_request(
      R"({"messages":[{"role":"user","content":null},{"role":"assistant","tool_calls":[
          {"function":{"name":"f","arguments":{"b":1,"a":[1.0,"é"]}}},{"name":"g","arguments":"{\"x\": 1}"}]}],
          "tools":[{"z":1,"a":2}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->messages[0].content, "");
  EXPECT_FALSE(request->messages[0].reasoning_content.has_value());
  ASSERT_EQ(request->messages[1].tool_calls.size(), 2u);
  EXPECT_EQ(request->messages[1].tool_calls[0].name, "f");
  EXPECT_EQ(request->messages[1].tool_calls[0].arguments_json, R"({"b": 1, "a": [1.0, "é"]})");
  EXPECT_EQ(request->messages[1].tool_calls[1].arguments_json, R"("{\"x\": 1}")");
  EXPECT_EQ(request->tools_json, std::vector<std::string>{R"({"z": 1, "a": 2})"});
  EXPECT_TRUE(request->add_generation_prompt);
  EXPECT_FALSE(request->enable_thinking.has_value());
}

TEST(ChatRequest, RefusesWrongTypesNamingTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not valid JSON"},
      {"[]", "\"request\""},
      {"{}", "\"messages\" is missing"},
      {R"({"messages":3})", "\"messages\": found 3"},
      {R"({"messages":[3]})", "\"messages[0]\""},
      {R"({"messages":[{}]})", "\"messages[0].role\" is missing"},
      {R"({"messages":[{"role":7}]})", "\"messages[0].role\""},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})", "\"messages[0].content\""},
      {R"({"messages":[{"role":"user","reasoning_content":1}]})", "\"messages[0].reasoning_content\""},
      {R"({"messages":[{"role":"assistant","tool_calls":{}}]})", "\"messages[0].tool_calls\""},
      {R"({"messages":[{"role":"assistant","tool_calls":[1]}]})", "\"messages[0].tool_calls[0]\""},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":1}]}]})", "tool_calls[0].function\""},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"arguments":{}}]}]})",
       "tool_calls[0].name\" is missing"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"name":"f"}]}]})",
       "tool_calls[0].arguments\" is missing"},
      {R"({"messages":[],"tools":{}})", "\"tools\""},
      {R"({"messages":[],"tools":["x"]})", "\"tools[0]\""},
      {R"({"messages":[],"add_generation_prompt":1})", "\"add_generation_prompt\""},
      {R"({"messages":[],"enable_thinking":"no"})", "\"enable_thinking\""},
      {"{\"messages\":[\"\xff\"]}", "not valid JSON"},
  };
  for (const auto& [text, expected] : cases) {
    const auto request = parse_chat_request(text);
    ASSERT_FALSE(request.ok()) << text;
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(request.error().message, HasSubstr(expected));
  }
  const auto deep = parse_chat_request("{\"messages\":" + std::string(1000000, '['));
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace kakeya::text
