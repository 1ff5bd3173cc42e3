// Calls of tools in the forms that models write (kakeya/constraint.h, ToolFormat).
#pragma once
#include <kakeya/constraint.h>
#include <kakeya/result.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "grammar/json_rules.h"

namespace kakeya::grammar {

inline constexpr char kToolCallOpen[] = "<tool_call>";
inline constexpr char kToolCallClose[] = "</tool_call>";

struct ToolCallOptions {
  ToolFormat format = ToolFormat::kQwen3;
  bool parallel = true;  // more than one call
  bool opened = false;   // the first <tool_call> stands there already
};

// tools: {"type":"function","function":{name,parameters}} or the inner object alone. Errors: as
// schema_expression, kInvalidArgument (no tools, a tool without name, a name twice).
Result<ExprId> tool_calls_expression(const std::vector<std::string>& tools, const ToolCallOptions& options,
                                     Grammar& grammar, JsonRules& json);

// Qwen3-Coder's <parameter=a>\nvalue\n</parameter>\n for each of the object's properties, in their order.
// `parameters` is a schema of type object, `where` stands in messages. Errors: as schema_expression,
// kUnsupported (keywords beside properties, required and additionalProperties).
Result<ExprId> xml_parameters(const nlohmann::ordered_json& parameters, const std::string& where,
                              Grammar& grammar, JsonRules& json);

}  // namespace kakeya::grammar
