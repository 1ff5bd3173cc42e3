// Calls of tools in each form: texts in the shape that the models' publishers show, and what is near them.
#include "grammar/tool_calls.h"

#include <gmock/gmock.h>

#include "grammar/test_support.h"

namespace kakeya::grammar {
namespace {

using ::testing::HasSubstr;

const char* const kWeather =
    R"({"type":"function","function":{"name":"get_weather","parameters":{"type":"object",
    "properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":5},
    "unit":{"enum":["celsius","fahrenheit"]}},"required":["city"]}}})";
const char* const kNow = R"({"name":"now"})";

ConstraintSpec spec_of(ToolFormat format, std::vector<std::string> tools, const std::string& after = "") {
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kToolCalls;
  spec.tool_format = format;
  spec.tools_json = std::move(tools);
  spec.after = after;
  spec.optional = !after.empty();
  return spec;
}

Machine machine_of(const ConstraintSpec& spec) {
  auto grammar = grammar_of(spec);
  EXPECT_TRUE(grammar.ok()) << (grammar.ok() ? "" : grammar.error().message);
  return test::machine(*grammar);
}

Error refusal(const std::string& parameters) {
  const auto grammar =
      grammar_of(spec_of(ToolFormat::kQwen3Coder, {R"({"name":"f","parameters":)" + parameters + "}"}));
  EXPECT_FALSE(grammar.ok()) << parameters;
  return grammar.ok() ? Error{ErrorCode::kCancelled, ""} : grammar.error();
}

TEST(ToolCalls, LlamaWritesBareObjects) {
  Machine m = machine_of(spec_of(ToolFormat::kLlama3, {kWeather, kNow}));
  const std::string call = R"({"name": "get_weather", "parameters": {"city": "Paris", "days": 3}})";
  EXPECT_TRUE(test::accepts(m, call));
  EXPECT_TRUE(test::accepts(m, call + R"(; {"name": "now", "parameters": {}})"));
  EXPECT_FALSE(test::begins(m, call + "\n"));
  EXPECT_FALSE(test::begins(m, R"({"name": "get_time")"));
  EXPECT_FALSE(test::begins(m, R"({"name": "get_weather", "arguments")"));
  EXPECT_FALSE(test::begins(m, R"({"name": "get_weather", "parameters": {"city": "Paris", "days": 9)"));
  EXPECT_FALSE(test::begins(m, "<tool_call>"));
  ConstraintSpec one = spec_of(ToolFormat::kLlama3, {kWeather, kNow});
  one.parallel = false;
  Machine single = machine_of(one);
  EXPECT_TRUE(test::accepts(single, call));
  EXPECT_FALSE(test::begins(single, call + ";"));
}

std::string coder(const std::string& name, const std::string& parameters) {
  return "<tool_call>\n<function=" + name + ">\n" + parameters + "</function>\n</tool_call>";
}
std::string parameter(const std::string& key, const std::string& value) {
  return "<parameter=" + key + ">\n" + value + "\n</parameter>\n";
}

TEST(ToolCalls, CoderWritesTags) {
  Machine m = machine_of(spec_of(ToolFormat::kQwen3Coder, {kWeather, kNow}));
  const std::string city = parameter("city", "New\n\"York\" <b></parameter>");
  EXPECT_TRUE(test::accepts(m, coder("get_weather", city)));
  EXPECT_TRUE(
      test::accepts(m, coder("get_weather", city + parameter("days", "5") + parameter("unit", "celsius"))));
  EXPECT_TRUE(test::accepts(m, coder("get_weather", city) + "\n" + coder("now", "")));
  EXPECT_FALSE(test::begins(m, "<tool_call>\n<function=get_weather>\n</function"));       // city is required
  EXPECT_FALSE(test::begins(m, "<tool_call>\n<function=get_weather>\n<parameter=days"));  // and comes first
  EXPECT_FALSE(test::begins(m, "<tool_call>\n<function=get_weather>\n" + city + "<parameter=days>\n6"));
  EXPECT_FALSE(test::begins(m, "<tool_call>\n<function=get_weather>\n" + city + "<parameter=unit>\nkelvin"));
  EXPECT_FALSE(test::begins(m, "<tool_call>\n<function=get_time"));
  EXPECT_FALSE(test::begins(m, "<tool_call>\n{"));
  EXPECT_FALSE(test::begins(m, "<tool_call>\n<function=now>\n<parameter"));
}

TEST(ToolCalls, CoderValuesKeepToTheirSchemas) {
  const std::string properties = R"("a":{"type":"array","items":{"type":"integer"}},"b":{"type":"boolean"},
      "date":{"type":"string","format":"date"},"short":{"type":"string","maxLength":3},"maybe":{"type":["integer","null"]},
      "either":{"anyOf":[{"type":"integer"},{"enum":["all"]}]},"ref":{"$ref":"#/$defs/node"},"any":{})";
  Machine m = machine_of(spec_of(
      ToolFormat::kQwen3Coder, {R"({"name":"f","parameters":{"type":"object","$defs":{"node":{"type":"object",
      "properties":{"next":{"$ref":"#/$defs/node"}}}},"properties":{)" +
                                properties + "}}}"}));
  const auto accepted = [&](const std::string& key, const std::string& value) {
    return test::accepts(m, coder("f", parameter(key, value)));
  };
  EXPECT_TRUE(accepted("a", "[1, 2]"));
  EXPECT_FALSE(accepted("a", "[1, \"2\"]"));
  EXPECT_TRUE(accepted("b", "true"));
  EXPECT_FALSE(accepted("b", "True"));
  EXPECT_TRUE(accepted("date", "2026-11-28"));
  EXPECT_FALSE(accepted("date", "\"2026-11-28\""));
  EXPECT_FALSE(accepted("date", "2026-13-28"));
  EXPECT_TRUE(accepted("short", "a\"\xc3\xa9"));
  EXPECT_FALSE(accepted("short", "abcd"));
  EXPECT_TRUE(accepted("maybe", "null"));
  EXPECT_FALSE(accepted("maybe", "none"));
  EXPECT_TRUE(accepted("either", "all"));
  EXPECT_TRUE(accepted("either", "12"));
  EXPECT_FALSE(accepted("either", "some"));
  EXPECT_TRUE(accepted("ref", R"({"next": {"next": {}}})"));
  EXPECT_FALSE(accepted("ref", R"({"next": 1})"));
  EXPECT_TRUE(accepted("any", "{ what you like"));
}

TEST(ToolCalls, CoderTakesAnyParametersWhereNoneAreNamed) {
  Machine m =
      machine_of(spec_of(ToolFormat::kQwen3Coder, {R"({"name":"f","parameters":{"type":"object"}})"}));
  // No parameters at all: an absent schema and an empty one mean none, "type": "object" alone means any.
  EXPECT_TRUE(test::accepts(m, coder("f", parameter("x-1", "y") + parameter("z", "{}"))));
  EXPECT_FALSE(test::begins(m, "<tool_call>\n<function=f>\n<parameter=a b"));
  Machine none = machine_of(spec_of(ToolFormat::kQwen3Coder, {kNow}));
  EXPECT_FALSE(test::begins(none, "<tool_call>\n<function=now>\n<p"));
}

TEST(ToolCalls, CoderBeginsBehindTheMarker) {
  Machine m = machine_of(spec_of(ToolFormat::kQwen3Coder, {kWeather}, "<tool_call>"));
  EXPECT_TRUE(test::accepts(m, "No tool is needed."));
  EXPECT_TRUE(test::accepts(m, "So:\n" + coder("get_weather", parameter("city", "A"))));
  EXPECT_FALSE(test::begins(m, "So:\n<tool_call>\n{"));
}

TEST(ToolCalls, CoderRefusesByNameWhatTagsCannotSay) {
  EXPECT_EQ(refusal(R"({"type":"object","anyOf":[{}]})").code, ErrorCode::kUnsupported);
  EXPECT_THAT(refusal(R"({"type":"object","anyOf":[{}]})").message,
              HasSubstr("tools[0].parameters: #/anyOf"));
  EXPECT_THAT(refusal(R"({"type":"object","properties":{"a>b":{}}})").message, HasSubstr("a>b"));
  EXPECT_THAT(refusal(R"({"type":"object","properties":{},"required":["x"]})").message, HasSubstr("'x'"));
  EXPECT_THAT(refusal(R"({"type":"object","properties":{"a":{"not":{}}}})").message,
              HasSubstr("#/properties/a/not"));
  EXPECT_THAT(refusal(R"({"type":"object","properties":{"a":{"type":"string","pattern":"("}}})").message,
              HasSubstr("pattern"));
}

}  // namespace
}  // namespace kakeya::grammar
