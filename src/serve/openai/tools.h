// Tools and tool_choice in every form that clients send: nested, flat (Responses API), custom.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "dialog/dialog.h"
#include "serve/json.h"

namespace kakeya::serve::openai {

struct Tools {
  std::vector<std::string> json;  // {"type":"function","function":{...}} each
  std::vector<std::string> names;
  // Tools whose input is a free text. The model sees a function with one string, "input".
  std::set<std::string> custom;
  dialog::ToolChoice choice = dialog::ToolChoice::kAuto;
  std::string chosen;  // kNamed
  bool parallel = true;
};

// Fields tools, tool_choice, parallel_tool_calls.
Tools read_tools(Fields& fields);
// The text of a custom tool's call from its arguments {"input": ...}; the arguments themselves when they are
// something else.
std::string custom_input(const std::string& arguments);

}  // namespace kakeya::serve::openai
