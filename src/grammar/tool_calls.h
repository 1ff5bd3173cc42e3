// Calls of tools in the form that Hermes and Qwen models write:
//   <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>
#pragma once
#include <kakeya/result.h>

#include <string>
#include <vector>

#include "grammar/json_rules.h"

namespace kakeya::grammar {

inline constexpr char kToolCallOpen[] = "<tool_call>";
inline constexpr char kToolCallClose[] = "</tool_call>";

struct ToolCallOptions {
  bool parallel = true;  // more than one call
  bool opened = false;   // the first <tool_call> stands there already
};

// tools: {"type":"function","function":{name,parameters}} or the inner object alone. Errors: as
// schema_expression, kInvalidArgument (no tools, a tool without name, a name twice).
Result<ExprId> tool_calls_expression(const std::vector<std::string>& tools, const ToolCallOptions& options,
                                     Grammar& grammar, JsonRules& json);

}  // namespace kakeya::grammar
