// What a request's tools say of their parameters: arguments that a model wrote as plain text become JSON by
// it.
#pragma once
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::dialog {

class ToolSchemas {
 public:
  // tools: {"type":"function","function":{name,parameters}} or the inner object alone; others are left out.
  explicit ToolSchemas(const std::vector<std::string>& tools_json);
  ~ToolSchemas();

  bool has(std::string_view tool) const;
  bool has_beginning(std::string_view begin) const;  // a tool whose name begins so
  // One argument as JSON. Where the schema allows something else than a string and the text is such a value
  // (in JSON, or True, False and None as Python prints them), it is that value as written; else a string of
  // the text.
  std::string argument(std::string_view tool, const std::string& key, std::string_view text) const;

 private:
  std::map<std::string, std::unique_ptr<nlohmann::json>, std::less<>> parameters_;
};

}  // namespace kakeya::dialog
