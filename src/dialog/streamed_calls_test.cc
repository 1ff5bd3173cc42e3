// Calls that come out while they are written, for models that a constraint holds to the form.
#include "dialog/tool_forms_test_support.h"

namespace kakeya::dialog {
namespace {

// What had come out after each byte: the calls so far, as "name arguments".
std::vector<std::string> after_each_byte(const OutputFormat& format, std::string_view text) {
  OutputParser parser(format);
  std::vector<std::string> out;
  std::string so_far;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    std::vector<OutputPart> parts;
    i < text.size() ? parser.push(text.substr(i, 1), parts) : parser.finish(parts);
    for (const OutputPart& part : parts) {
      if (part.kind == OutputPart::Kind::kToolCall) so_far += "[" + part.tool_name + "]";
      so_far += part.text;
    }
    out.push_back(so_far);
  }
  return out;
}

TEST(StreamedCalls, ArgumentsComeOutWhileTheyAreWritten) {
  const std::string arguments = R"({"city": "Pa\"r{is", "days": 2})";
  const std::pair<ToolFormat, std::string> forms[] = {
      {ToolFormat::kQwen3,
       "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": " + arguments + "}\n</tool_call>"},
      {ToolFormat::kLlama3, "{\"name\": \"get_weather\", \"parameters\": " + arguments + "}"}};
  for (auto [form, text] : forms) {
    OutputFormat format = format_of(form);
    format.stream_calls = true;
    expect_parsed(format, text, {"", "", {{"get_weather", arguments}}});
    const auto seen = after_each_byte(format, text);
    const std::size_t begin = text.find(arguments);
    EXPECT_EQ(seen[begin - 1], "");
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const bool escape = arguments[i] == '\\';  // comes with the character behind it
      EXPECT_EQ(seen[begin + i], "[get_weather]" + arguments.substr(0, escape ? i : i + 1));
    }
    EXPECT_EQ(seen.back(), "[get_weather]" + arguments);
  }
}

TEST(StreamedCalls, CoderGivesParameterByParameter) {
  OutputFormat format = kCoder;
  format.stream_calls = true;
  const std::string text = weather(parameter("city", "Dallas") + parameter("days", "3"));
  expect_parsed(format, "Let me see.\n" + text + "\n" + text,
                {"",
                 "Let me see.",
                 {{"get_weather", R"({"city": "Dallas", "days": 3})"},
                  {"get_weather", R"({"city": "Dallas", "days": 3})"}}});
  const auto seen = after_each_byte(format, text);
  EXPECT_EQ(seen[text.find("<parameter=")], "[get_weather]{");
  EXPECT_EQ(seen[text.find("<parameter=days") + 11], R"([get_weather]{"city": "Dallas")");
  EXPECT_EQ(seen[text.find("</function>") + 1], R"([get_weather]{"city": "Dallas")");
  EXPECT_EQ(seen.back(), R"([get_weather]{"city": "Dallas", "days": 3})");
}

TEST(StreamedCalls, OfACallThatTheEndCutsWhatWasWrittenIsOut) {
  OutputFormat format = format_of(ToolFormat::kQwen3);
  format.stream_calls = true;
  expect_parsed(format, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"ab",
                {"", "", {{"f", "{\"x\": \"ab"}}});
  expect_parsed(format, "a <tool_call>\n{\"name\": \"f\", \"argu",
                {"", "a", {}});  // nothing but a call can have begun so
  OutputParser parser(format);
  std::vector<OutputPart> parts;
  parser.push("<tool_call>\n{\"name\": \"f\", \"arguments\": {", parts);
  parser.finish(parts);
  EXPECT_EQ(parts.size(), 1u);
  EXPECT_EQ(parser.calls(), 0u);  // none is complete
  format = kLlama;
  format.stream_calls = true;
  expect_parsed(format, "{\"name\": \"write_file\", \"parameters\": {\"path\": \"a",
                {"", "", {{"write_file", "{\"path\": \"a"}}});
  format = kCoder;
  format.stream_calls = true;
  expect_parsed(format, "<tool_call>\n<function=f>\n" + parameter("x", "1") + "<parameter=y>\n2",
                {"", "", {{"f", "{\"x\": \"1\""}}});
}

// Found by the fuzz target: a quote too many hides the end tag, and the first end tag comes before what is
// out.
TEST(StreamedCalls, PlacesGoOnUpwardsWhenATextLeavesTheForm) {
  OutputFormat format = format_of(ToolFormat::kQwen3);
  format.stream_calls = true;
  const std::string text =
      "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"\"\"}}\n</tool_call>\n<tool_call>\n{\"name\": "
      "\"g\"}\n</tool_call>";
  const Parsed parsed = parse(format, {text});  // checks the places
  ASSERT_FALSE(parsed.calls.empty());
  EXPECT_EQ(parsed.calls[0].first, "f");
}

}  // namespace
}  // namespace kakeya::dialog
