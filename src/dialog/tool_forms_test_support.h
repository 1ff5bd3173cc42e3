// Two tools, and calls of them in Qwen3-Coder's form.
#pragma once
#include "dialog/parser_test_support.h"

namespace kakeya::dialog {

inline const std::vector<std::string> kFormTools = {
    R"({"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{
        "city":{"type":"string"},"days":{"type":"integer"},"exact":{"type":"boolean"},"unit":{"type":["string","null"],
        "enum":["celsius","5",null]}}}}})",
    R"({"name":"write_file","parameters":{"type":"object","$defs":{"mode":{"anyOf":[{"type":"integer"},{"type":"null"}]}},
        "properties":{"path":{"type":"string"},"content":{"type":"string"},"mode":{"$ref":"#/$defs/mode"},
        "tags":{"type":"array"},"meta":{"type":"object"},"ratio":{"type":"number"},"free":{}}}})"};

inline OutputFormat format_of(ToolFormat form) {
  return {Reasoning::kNone, true, form, std::make_shared<const ToolSchemas>(kFormTools)};
}
inline const OutputFormat kCoder = format_of(ToolFormat::kQwen3Coder),
                          kLlama = format_of(ToolFormat::kLlama3);

inline std::string weather(const std::string& parameters) {
  return "<tool_call>\n<function=get_weather>\n" + parameters + "</function>\n</tool_call>";
}
inline std::string parameter(const std::string& key, const std::string& value) {
  return "<parameter=" + key + ">\n" + value + "\n</parameter>\n";
}

}  // namespace kakeya::dialog
