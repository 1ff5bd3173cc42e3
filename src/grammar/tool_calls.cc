#include "grammar/tool_calls.h"

#include <set>

#include "grammar/schema_builder.h"

namespace kakeya::grammar {
namespace {

constexpr std::size_t kMaxTools = 512;

// What a tool's arguments have to be: always an object.
Result<Json> parameters_of(const Json& function, const std::string& where) {
  Json schema = function.value("parameters", Json());
  if (schema.is_null() || schema == Json::object())
    return Json{{"type", "object"}, {"properties", Json::object()}};
  if (!schema.is_object()) return invalid_argument(where + ": parameters: expected a JSON Schema");
  if (!schema.contains("type")) schema["type"] = "object";
  if (schema["type"] != Json("object")) {
    return invalid_argument(where + ": parameters: expected the type object");
  }
  return schema;
}

}  // namespace

Result<ExprId> tool_calls_expression(const std::vector<std::string>& tools, const ToolCallOptions& options,
                                     Grammar& g, JsonRules& json) {
  if (tools.empty() || tools.size() > kMaxTools) {
    return invalid_argument("tools: found " + std::to_string(tools.size()) + ", expected 1 to " +
                            std::to_string(kMaxTools));
  }
  std::set<std::string> names;
  std::vector<ExprId> calls;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = "tools[" + std::to_string(i) + "]";
    KAKEYA_ASSIGN(const Json tool, parse_schema_json(where, tools[i], {}));
    const bool wrapped = tool.is_object() && tool.contains("function");
    const Json& function = wrapped ? tool["function"] : tool;
    if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) {
      return invalid_argument(where + ": expected a function with a name");
    }
    const auto name = function["name"].get<std::string>();
    if (!names.insert(name).second) return invalid_argument(where + ": a second tool named '" + name + "'");
    KAKEYA_ASSIGN(const Json parameters, parameters_of(function, where));
    KAKEYA_ASSIGN(const ExprId arguments,
                  SchemaBuilder(parameters, where + ".parameters", g, json).build_root(parameters));
    calls.push_back(g.seq(
        {g.literal(Json(name).dump()), json.comma(), g.literal("\"arguments\""), json.colon(), arguments}));
  }
  const ExprId line = g.optional(g.literal("\n"));
  const ExprId call =
      g.seq({line, g.literal("{"), json.blank(), g.literal("\"name\""), json.colon(), g.alt(std::move(calls)),
             json.blank(), g.literal("}"), line, g.literal(kToolCallClose)});
  const RuleId rule = g.add_rule("tool-call");
  g.define(rule, call);
  const ExprId first = options.opened ? g.call(rule) : g.seq({g.literal(kToolCallOpen), g.call(rule)});
  if (!options.parallel) return first;
  const ExprId next = g.seq({line, g.literal(kToolCallOpen), g.call(rule)});
  return g.seq({first, g.repeat(next, 0, kUnbounded)});
}

}  // namespace kakeya::grammar
