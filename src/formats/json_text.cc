#include "formats/json_text.h"

#include <nlohmann/json.hpp>

namespace kakeya::formats {
namespace {

constexpr std::size_t kMaxShown = 120;

template <class Json>
Result<Json> parse_as(const std::string& name, std::string_view text) {
  KAKEYA_TRY(check_json_bounds(name, text));
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& error) {
    return corrupt_data("read " + name + ": not valid JSON: " + printable(error.what()));
  }
}

}  // namespace

Result<nlohmann::json> parse_json(const std::string& name, std::string_view text) {
  return parse_as<nlohmann::json>(name, text);
}

Result<nlohmann::ordered_json> parse_ordered_json(const std::string& name, std::string_view text) {
  return parse_as<nlohmann::ordered_json>(name, text);
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMaxShown)) {
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  }
  // A cut may fall inside a UTF-8 sequence: drop what is incomplete at the end.
  while (text.size() > kMaxShown && !out.empty() && (static_cast<unsigned char>(out.back()) & 0x80) != 0) {
    out.pop_back();
  }
  return text.size() > kMaxShown ? out + "..." : out;
}

std::string describe(const nlohmann::json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  if (value.is_string()) return '"' + printable(value.get_ref<const std::string&>()) + '"';
  return value.dump();
}

}  // namespace kakeya::formats
