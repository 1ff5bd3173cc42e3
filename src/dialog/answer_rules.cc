#include "dialog/answer_rules.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "dialog/combined_constraint.h"
#include "dialog/loose_tool.h"
#include "dialog/prompt.h"

namespace kakeya::dialog {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kReasoningEnd = "</think>";

struct Tool {
  std::string name, json;
  bool strict = false;
};

Result<std::vector<Tool>> read_tools(const std::vector<std::string>& tools_json) {
  std::vector<Tool> tools;
  for (const std::string& text : tools_json) {
    const std::string where = "tools[" + std::to_string(tools.size()) + "]";
    const Json tool = Json::parse(text, nullptr, false);
    const Json function = tool.is_object() && tool.contains("function") ? tool["function"] : tool;
    if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) {
      return invalid_argument(where + ": expected an object with \"function\", and in it a \"name\"");
    }
    const bool strict = function.contains("strict") && function["strict"] == true;
    tools.push_back({function["name"].get<std::string>(), text, strict});
  }
  return tools;
}

Result<std::unique_ptr<TokenConstraint>> calls_of(const Engine& engine, const std::vector<Tool>& tools,
                                                  ConstraintSpec spec, std::vector<std::string>& loosened) {
  spec.kind = ConstraintKind::kToolCalls;
  for (const Tool& tool : tools) spec.tools_json.push_back(tool.json);
  auto all = engine.new_constraint(spec);
  if (all.ok() || all.error().code == ErrorCode::kNotFound) return all;
  // Some schema cannot be kept: find out which.
  for (std::size_t i = 0; i < tools.size(); ++i) {
    ConstraintSpec alone = spec;
    alone.tools_json = {tools[i].json};
    const auto one = engine.new_constraint(alone);
    if (one.ok()) continue;
    if (tools[i].strict) {
      return Error{one.error().code,
                   "tools[" + std::to_string(i) + "] (" + tools[i].name + "): " + one.error().message};
    }
    LooseTool loose = loosen(engine, alone, one.error());
    spec.tools_json[i] = std::move(loose.json);
    for (const std::string& place : loose.places) loosened.push_back(tools[i].name + place);
  }
  return engine.new_constraint(spec);
}

Result<std::vector<Tool>> chosen_tools(const DialogRequest& request) {
  const auto* chat = std::get_if<ChatRequest>(&request.input);
  if (request.tool_choice == ToolChoice::kNone) return std::vector<Tool>();
  KAKEYA_ASSIGN(std::vector<Tool> tools, read_tools(chat ? chat->tools_json : std::vector<std::string>()));
  if (request.tool_choice == ToolChoice::kRequired && tools.empty()) {
    return invalid_argument("tool_choice: found \"required\" without tools, expected at least one tool");
  }
  if (request.tool_choice == ToolChoice::kNamed) {
    std::erase_if(tools, [&](const Tool& tool) { return tool.name != request.tool_name; });
    if (tools.empty()) {
      return invalid_argument("tool_choice: found the name \"" + request.tool_name +
                              "\", expected one of the request's tools");
    }
  }
  return tools;
}

}  // namespace

Result<AnswerRules> build_rules(const Engine& engine, const DialogRequest& request, bool thinking) {
  KAKEYA_ASSIGN(const std::vector<Tool> tools, chosen_tools(request));
  std::unique_ptr<TokenConstraint> format, calls;
  const bool must_call =
      request.tool_choice == ToolChoice::kRequired || request.tool_choice == ToolChoice::kNamed;
  if (request.format && !must_call) {
    ConstraintSpec spec = *request.format;
    if (thinking && spec.after.empty()) spec.after = kReasoningEnd;
    KAKEYA_ASSIGN(format, engine.new_constraint(spec));
  }
  if (tools.empty()) return AnswerRules{std::move(format), {}};
  ConstraintSpec spec;
  // A named tool is called once, as OpenAI does it: callers read the first call.
  spec.parallel = request.parallel_tools && request.tool_choice != ToolChoice::kNamed;
  spec.tool_format = tool_format_of(engine).value_or(ToolFormat::kQwen3);
  const bool tagged = spec.tool_format != ToolFormat::kLlama3;
  const bool at_once = must_call || format != nullptr;
  if (at_once && thinking) spec.after = kReasoningEnd;
  if (!at_once && tagged) {
    spec.after = "<tool_call>";
    spec.optional = true;
  }
  AnswerRules rules;
  KAKEYA_ASSIGN(calls, calls_of(engine, tools, spec, rules.loosened));
  if (format) {
    rules.constraint = either(std::move(calls), std::move(format));
  } else if (!at_once && !tagged) {
    rules.constraint = calls_if_begun(engine, std::move(calls));
  } else if (!at_once && thinking) {  // in the reasoning <tool_call> is only text
    rules.constraint = free_until(engine, kReasoningEnd, std::move(calls));
  } else {
    rules.constraint = std::move(calls);
  }
  return rules;
}

}  // namespace kakeya::dialog
