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

struct Tool {
  std::string name;
  Json parameters;
  std::string where;
};

Result<std::vector<Tool>> read_tools(const std::vector<std::string>& tools) {
  if (tools.empty() || tools.size() > kMaxTools) {
    return invalid_argument("tools: found " + std::to_string(tools.size()) + ", expected 1 to " +
                            std::to_string(kMaxTools));
  }
  std::set<std::string> names;
  std::vector<Tool> out;
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
    KAKEYA_ASSIGN(Json parameters, parameters_of(function, where));
    out.push_back({name, std::move(parameters), where + ".parameters"});
  }
  return out;
}

// {"name": "f", KEY: {...}}
Result<ExprId> json_call(const std::vector<Tool>& tools, const char* key, Grammar& g, JsonRules& json) {
  std::vector<ExprId> calls;
  for (const Tool& tool : tools) {
    KAKEYA_ASSIGN(const ExprId arguments,
                  SchemaBuilder(tool.parameters, tool.where, g, json).build_root(tool.parameters));
    calls.push_back(g.seq({g.literal(Json(tool.name).dump()), json.comma(), g.literal(Json(key).dump()),
                           json.colon(), arguments}));
  }
  return g.seq({g.literal("{"), json.blank(), g.literal("\"name\""), json.colon(), g.alt(std::move(calls)),
                json.blank(), g.literal("}")});
}

// <function=f>\n parameters </function>
Result<ExprId> xml_call(const std::vector<Tool>& tools, Grammar& g, JsonRules& json) {
  std::vector<ExprId> calls;
  for (const Tool& tool : tools) {
    if (tool.name.find_first_of(">\n") != std::string::npos) {
      return unsupported(tool.where + ": the name '" + tool.name + "' cannot stand in a tag");
    }
    KAKEYA_ASSIGN(const ExprId parameters, xml_parameters(tool.parameters, tool.where, g, json));
    calls.push_back(g.seq({g.literal(tool.name), g.literal(">\n"), parameters}));
  }
  return g.seq({g.literal("<function="), g.alt(std::move(calls)), g.literal("</function>")});
}

// One call, or several with `between` between them.
ExprId sequence(ExprId first, ExprId between, ExprId call, bool parallel, Grammar& g) {
  if (!parallel) return first;
  return g.seq({first, g.repeat(g.seq({between, call}), 0, kUnbounded)});
}

}  // namespace

Result<ExprId> tool_calls_expression(const std::vector<std::string>& tools_json,
                                     const ToolCallOptions& options, Grammar& g, JsonRules& json) {
  KAKEYA_ASSIGN(const std::vector<Tool> tools, read_tools(tools_json));
  const RuleId rule = g.add_rule("tool-call");
  const ExprId call = g.call(rule);
  if (options.format == ToolFormat::kLlama3) {
    KAKEYA_ASSIGN(const ExprId body, json_call(tools, "parameters", g, json));
    g.define(rule, body);
    return sequence(call, g.literal("; "), call, options.parallel, g);
  }
  const ExprId line = g.optional(g.literal("\n"));
  const bool xml = options.format == ToolFormat::kQwen3Coder;
  KAKEYA_ASSIGN(const ExprId body, xml ? xml_call(tools, g, json) : json_call(tools, "arguments", g, json));
  g.define(rule, g.seq({line, body, line, g.literal(kToolCallClose)}));
  const ExprId first = options.opened ? call : g.seq({g.literal(kToolCallOpen), call});
  return sequence(first, g.seq({line, g.literal(kToolCallOpen)}), call, options.parallel, g);
}

}  // namespace kakeya::grammar
