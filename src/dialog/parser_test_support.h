// What an answer's text was taken apart into, the same wherever it is cut.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dialog/output_parser.h"

namespace kakeya::dialog {

struct Parsed {
  std::string reasoning, content;
  std::vector<std::pair<std::string, std::string>> calls;  // name, arguments
  bool operator==(const Parsed&) const = default;
};

inline void PrintTo(const Parsed& parsed, std::ostream* out) {
  *out << "reasoning [" << parsed.reasoning << "] content [" << parsed.content << "]";
  for (const auto& [name, arguments] : parsed.calls) *out << " call " << name << " " << arguments;
}

inline Parsed parse(const OutputFormat& format, const std::vector<std::string_view>& pieces) {
  OutputParser parser(format);
  std::vector<OutputPart> parts;
  for (const std::string_view piece : pieces) parser.push(piece, parts);
  parser.finish(parts);
  Parsed out;
  std::size_t behind = 0;
  for (const OutputPart& part : parts) {
    EXPECT_LE(behind, part.begin);
    EXPECT_LT(part.begin, part.end);
    behind = part.end;
    if (part.kind == OutputPart::Kind::kReasoning) out.reasoning += part.text;
    if (part.kind == OutputPart::Kind::kContent) out.content += part.text;
    if (part.kind == OutputPart::Kind::kToolCall) out.calls.emplace_back(part.tool_name, part.text);
    if (part.kind == OutputPart::Kind::kToolArguments) {
      EXPECT_FALSE(out.calls.empty());
      if (!out.calls.empty()) out.calls.back().second += part.text;
    } else if (part.kind != OutputPart::Kind::kToolCall) {
      EXPECT_EQ(part.end - part.begin, part.text.size());
    }
  }
  if (!format.stream_calls) {
    EXPECT_EQ(parser.calls(), out.calls.size());
  }
  return out;
}

// Whole, cut at every byte, cut at every pair of bytes of short texts, and byte by byte.
inline void expect_parsed(const OutputFormat& format, std::string_view text, const Parsed& expected) {
  EXPECT_EQ(parse(format, {text}), expected) << text;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    EXPECT_EQ(parse(format, {text.substr(0, i), text.substr(i)}), expected) << text << " cut at " << i;
    for (std::size_t j = i; text.size() < 100 && j <= text.size(); ++j) {
      ASSERT_EQ(parse(format, {text.substr(0, i), text.substr(i, j - i), text.substr(j)}), expected) << text;
    }
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
  EXPECT_EQ(parse(format, bytes), expected) << text;
}

// Up to twelve of `pieces` after each other, and that text in runs of one to four bytes.
struct RandomText {
  std::string text;
  std::vector<std::string_view> cuts;

  RandomText(const std::vector<std::string>& pieces, std::mt19937& random) {
    for (std::size_t count = 1 + random() % 12; count > 0; --count) text += pieces[random() % pieces.size()];
  }
  RandomText(const RandomText&) = delete;
  void cut(std::mt19937& random) {
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 4, rest.size());
      cuts.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
  }
};

}  // namespace kakeya::dialog
