#include "base/json_bounds.h"

namespace kakeya::base {

Status check_json_bounds(const std::string& name, std::string_view text, const JsonLimits& limits) {
  std::size_t depth = 0, values = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == ',' || c == '[' || c == '{') ++values;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > limits.max_depth) {
      return corrupt_data("read " + name + ": JSON nests deeper than " + std::to_string(limits.max_depth) +
                          " levels at byte " + std::to_string(i));
    }
    if (values > limits.max_values) {
      return corrupt_data("read " + name + ": JSON holds more than " + std::to_string(limits.max_values) +
                          " values at byte " + std::to_string(i));
    }
  }
  return {};
}

}  // namespace kakeya::base
