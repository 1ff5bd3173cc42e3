// Request bodies: bounded JSON, and fields read with the first mistake kept.
#pragma once
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/message.h"

namespace kakeya::serve {

using Json = nlohmann::ordered_json;

// `body` becomes an object; an escape of half a surrogate pair is U+FFFD; order of keys kept, of duplicates
// the last one wins. The error says where.
std::optional<http::ApiError> parse_body(std::string_view body, Json& out);
http::Response json_response(const Json& body, int status = 200);
// ASCII, invalid UTF-8 replaced.
std::string dump(const Json& value);
std::string describe(const Json& value);  // "a string", "an object", `3`: for "found ..."

// One field of an object, or of anything else that has none. Null when absent or null; "" when it is no
// string.
const Json* field(const Json& object, const char* name);
std::string text_field(const Json& object, const char* name);

// Reads optional fields of one object. null = absent, everywhere. After the first mistake nothing is read
// any more; error() has it.
class Fields {
 public:
  explicit Fields(const Json& object, std::string prefix = {});

  const Json* find(const char* name) const;  // null when absent or null
  bool boolean(const char* name, bool fallback);
  std::optional<double> number(const char* name, double low, double high);
  std::optional<std::int64_t> integer(const char* name, std::int64_t low,
                                      std::int64_t high = std::numeric_limits<std::int64_t>::max());
  std::optional<std::string> text(const char* name);
  const Json* object(const char* name);
  const Json* array(const char* name);
  // A string or an array of strings.
  std::vector<std::string> texts(const char* name, std::size_t at_most);

  void fail(const char* name, const std::string& message);    // 400 about prefix + name
  void refuse(const char* name, const std::string& message);  // known, but not done here
  void fail(http::ApiError error);
  void merge(const Fields& other) {
    if (!error_) error_ = other.error_;
  }
  bool ok() const { return !error_; }
  const std::optional<http::ApiError>& error() const { return error_; }
  std::string name_of(const char* name) const { return prefix_ + name; }

 private:
  const Json* wanted(const char* name, bool fits, const Json* value, const char* expected);

  const Json& object_;
  std::string prefix_;
  std::optional<http::ApiError> error_;
};

}  // namespace kakeya::serve
