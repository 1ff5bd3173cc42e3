// The inside of one <tool_call> element, as Hermes and Qwen3 write it: {"name": ..., "arguments": {...}}.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kakeya::dialog {

struct ParsedCall {
  std::string name;
  std::string arguments;       // the model's own bytes, white space around them left out
  bool has_arguments = false;  // false: none were written, and they are {}
};

// Nothing when `text` is no call: not one JSON object with a "name" string and "arguments" (or "parameters")
// that are an object, or a string that holds one (some models quote them). Without arguments they are {}.
std::optional<ParsedCall> parse_tool_call(std::string_view text);

// JSON that is not nested too deep to be read.
bool is_shallow(std::string_view text);
// The text as a JSON string, quotes included; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

// "call_" and 24 characters of [0-9A-Za-z], from the system's entropy.
std::string new_call_id();

}  // namespace kakeya::dialog
