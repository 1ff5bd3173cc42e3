// Values of a profile's file, read by JSON pointer: of the kind that is expected, or an error that names
// file, field, found and expected.
#pragma once
#include <fmt/format.h>
#include <kakeya/result.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

namespace kakeya::cli {

class ProfileFields {
 public:
  using Json = nlohmann::ordered_json;

  ProfileFields(const std::string& path, const Json& root) : path_(path), root_(root) {}

  template <class T>
  Result<T> get(const std::string& pointer, const char* expected) const {
    const Json::json_pointer at(pointer);
    if (!root_.contains(at)) return bad(pointer, "nothing", expected);
    const Json& value = root_.at(at);
    if (!fits<T>(value)) return bad(pointer, value.dump().substr(0, 40), expected);
    return value.get<T>();
  }
  bool has(const std::string& pointer) const {
    const Json::json_pointer at(pointer);
    return root_.contains(at) && !root_.at(at).is_null();
  }
  Error bad(const std::string& pointer, const std::string& found, const std::string& expected) const {
    return corrupt_data(
        fmt::format("profile {}: {}: found {}, expected {}", path_, pointer, found, expected));
  }

 private:
  // The JSON library itself would cut 2.5 to 2, and wrap -3 around.
  template <class T>
  static bool fits(const Json& value) {
    if constexpr (std::is_same_v<T, std::string>) return value.is_string();
    if constexpr (std::is_same_v<T, double>) return value.is_number();
    if constexpr (std::is_integral_v<T>) {
      return value.is_number_unsigned() && value.get<std::uint64_t>() <= std::numeric_limits<T>::max();
    }
    return false;
  }

  const std::string& path_;
  const Json& root_;
};

}  // namespace kakeya::cli
