// What a model may write, cut anywhere: the joined parts must not depend on the cuts. The first byte chooses
// the format and the form of calls, each of the next eight a length; the rest is the text.
#include "dialog/output_parser.h"

#include "fuzz.h"

namespace {

using namespace kakeya::dialog;

struct Joined {
  std::string reasoning, content, calls;
  std::size_t count = 0, reasoning_end = 0;
  bool operator==(const Joined&) const = default;
};

Joined parse(const OutputFormat& format, std::string_view text, std::string_view lengths) {
  OutputParser parser(format);
  std::vector<OutputPart> parts;
  std::string_view rest = text;
  for (std::size_t i = 0; !lengths.empty() && !rest.empty(); ++i) {
    const std::size_t length = static_cast<unsigned char>(lengths[i % lengths.size()]) % 32;
    parser.push(rest.substr(0, length), parts);
    rest.remove_prefix(std::min(length, rest.size()));
    if (length == 0 && i % lengths.size() + 1 == lengths.size()) break;  // all of them may be 0
  }
  parser.push(rest, parts);
  parser.finish(parts);
  Joined out;
  std::size_t behind = 0;
  for (const OutputPart& part : parts) {
    FUZZ_CHECK(behind <= part.begin && part.begin < part.end && part.end <= text.size());
    behind = part.end;
    if (part.kind == OutputPart::Kind::kToolCall) {
      FUZZ_CHECK(!part.tool_name.empty() && part.text.starts_with('{'));
      out.calls += "\n" + part.tool_name + "\n";
    }
    if (part.kind == OutputPart::Kind::kToolCall || part.kind == OutputPart::Kind::kToolArguments) {
      FUZZ_CHECK(!out.calls.empty());
      out.calls += part.text;
      continue;
    }
    FUZZ_CHECK(part.text == text.substr(part.begin, part.end - part.begin));
    (part.kind == OutputPart::Kind::kReasoning ? out.reasoning : out.content) += part.text;
  }
  out.count = parser.calls();
  out.reasoning_end = parser.reasoning_end();
  return out;
}

OutputFormat format_of(std::uint8_t choice) {
  static const auto tools = std::make_shared<const ToolSchemas>(std::vector<std::string>{
      R"({"name":"f","parameters":{"type":"object","properties":{"s":{"type":"string"},"i":{"type":"integer"},
          "a":{},"e":{"enum":["x",null]},"r":{"$ref":"#/properties/r"},"u":{"anyOf":[{"type":"object"},{"type":"null"}]}}}})"});
  OutputFormat format = {static_cast<Reasoning>(choice % 3), (choice & 4) != 0};
  format.tool_format = static_cast<kakeya::ToolFormat>((choice >> 3) % 3);
  if ((choice & 128) == 0) format.tools = tools;
  return format;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;
  const OutputFormat format = format_of(data[0]);
  const std::string_view text = as_text(data + 9, size - 9);
  const Joined whole = parse(format, text, {});
  // Streamed, a call that leaves its form has begun already: what is out then depends on the cuts.
  OutputFormat streamed = format;
  streamed.stream_calls = true;
  parse(streamed, text, as_text(data + 1, 8));
  parse(streamed, text, "\1");
  FUZZ_CHECK(parse(format, text, as_text(data + 1, 8)) == whole);
  FUZZ_CHECK(parse(format, text, "\1") == whole);
  if (format.reasoning == Reasoning::kNone && !format.tool_calls) FUZZ_CHECK(whole.content == text);
  return 0;
}
