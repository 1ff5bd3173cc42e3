#include "formats/config_reader.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace kakeya::formats {
namespace {

std::string number_text(double value) { return nlohmann::json(value).dump(); }

}  // namespace

const nlohmann::json* ConfigReader::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string ConfigReader::text(const std::string& key, const std::string& found,
                               const std::string& expected) const {
  return "read " + file_ + ": key \"" + prefix_ + key + "\": found " + found + ", expected " + expected;
}
Error ConfigReader::corrupt(const std::string& key, const std::string& found,
                            const std::string& expected) const {
  return corrupt_data(text(key, found, expected));
}
Error ConfigReader::refuse(const std::string& key, const std::string& found,
                           const std::string& expected) const {
  return unsupported(text(key, found, expected));
}
Error ConfigReader::missing(const std::string& key, const std::string& expected) const {
  return corrupt_data(text(key, "nothing", expected));
}

Result<std::uint64_t> ConfigReader::as_uint(const std::string& key, const nlohmann::json& value,
                                            UintRange range) const {
  const std::string expected =
      "a whole number from " + std::to_string(range.min) + " to " + std::to_string(range.max);
  if (!value.is_number_unsigned()) return corrupt(key, describe(value), expected);
  const auto number = value.get<std::uint64_t>();
  if (number < range.min || number > range.max) return corrupt(key, describe(value), expected);
  return number;
}

Result<std::uint64_t> ConfigReader::uint(const char* key, UintRange range) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) {
    return missing(key,
                   "a whole number from " + std::to_string(range.min) + " to " + std::to_string(range.max));
  }
  return as_uint(key, *value, range);
}

Result<std::uint64_t> ConfigReader::uint_or(const char* key, UintRange range, std::uint64_t fallback) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  return as_uint(key, *value, range);
}

Result<double> ConfigReader::real(const char* key, RealRange range) const {
  const std::string expected = "a number from " + number_text(range.min) + " to " + number_text(range.max);
  const nlohmann::json* value = find(key);
  if (value == nullptr) return missing(key, expected);
  if (!value->is_number()) return corrupt(key, describe(*value), expected);
  const double number = value->get<double>();
  if (!(number >= range.min && number <= range.max)) return corrupt(key, describe(*value), expected);
  return number;
}

Result<double> ConfigReader::real_or(const char* key, RealRange range, double fallback) const {
  if (!has(key)) return fallback;
  return real(key, range);
}

Result<bool> ConfigReader::boolean_or(const char* key, bool fallback) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return corrupt(key, describe(*value), "true or false");
  return value->get<bool>();
}

Result<std::string> ConfigReader::string(const char* key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return missing(key, "a string");
  if (!value->is_string()) return corrupt(key, describe(*value), "a string");
  return value->get<std::string>();
}

}  // namespace kakeya::formats
