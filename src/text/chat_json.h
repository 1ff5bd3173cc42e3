// JSON values inside chats, printed as Python's json.dumps(ensure_ascii=False) prints them: templates of
// Hugging Face models were trained on that spelling. Key order and integers of any length are kept.
#pragma once
#include <kakeya/result.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace kakeya::text {

// Errors: kInvalidArgument, `what` in front. Integers beyond 64 bits become binary values that hold their
// digits.
Result<nlohmann::ordered_json> parse_chat_json(const std::string& what, std::string_view text);

std::string python_dumps(const nlohmann::ordered_json& value);
// With indent=4.
std::string python_dumps_indented(const nlohmann::ordered_json& value);
// str(value) of the Python value that json.loads gives: what Jinja's string filter prints.
std::string python_str(const nlohmann::ordered_json& value);

// The shortest digits that read back as `value`, laid out as Python's repr does: 1.0, 1e+16, 1e-05.
std::string python_float(double value);

}  // namespace kakeya::text
