// Typed, range-checked access to one JSON object of a configuration file. Every error names file, key,
// found and expected. For the .cc files of formats/ only.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "formats/json_text.h"

namespace kakeya::formats {

struct UintRange {
  std::uint64_t min = 0, max = 0;
};
struct RealRange {
  double min = 0, max = 0;
};

class ConfigReader {
 public:
  // `object` outlives the reader. `prefix` is shown before keys of nested objects ("rope_scaling.").
  ConfigReader(std::string file, const nlohmann::json& object, std::string prefix = "")
      : file_(std::move(file)), object_(object), prefix_(std::move(prefix)) {}

  // Null when the key is absent or null.
  const nlohmann::json* find(const char* key) const;
  bool has(const char* key) const { return find(key) != nullptr; }

  Result<std::uint64_t> uint(const char* key, UintRange range) const;
  Result<std::uint64_t> uint_or(const char* key, UintRange range, std::uint64_t fallback) const;
  Result<double> real_or(const char* key, RealRange range, double fallback) const;
  Result<double> real(const char* key, RealRange range) const;
  Result<bool> boolean_or(const char* key, bool fallback) const;
  Result<std::string> string(const char* key) const;
  // The value as an unsigned number inside the range, or an error that names `key`.
  Result<std::uint64_t> as_uint(const std::string& key, const nlohmann::json& value, UintRange range) const;

  Error corrupt(const std::string& key, const std::string& found, const std::string& expected) const;
  Error refuse(const std::string& key, const std::string& found, const std::string& expected) const;
  Error missing(const std::string& key, const std::string& expected) const;

  const std::string& file() const { return file_; }
  const nlohmann::json& object() const { return object_; }

 private:
  std::string text(const std::string& key, const std::string& found, const std::string& expected) const;
  std::string file_;
  const nlohmann::json& object_;
  std::string prefix_;
};

}  // namespace kakeya::formats
