// Reading the JSON bodies of other vendors' routes: every fault becomes an ApiError that names its field.
// Fields that are not asked for are ignored, null counts as absent, as clients of all these APIs expect.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/message.h"

namespace kakeya::serve::wire {

using Json = nlohmann::ordered_json;

// The body as an object. Nesting beyond 64 is refused: what prints JSON later is recursive.
std::optional<http::ApiError> parse_object(std::string_view body, Json& out);

// One object of a body; the first fault is kept and later reads change nothing.
class Fields {
 public:
  // `place` leads the names in errors: "options." gives "options.temperature".
  explicit Fields(const Json& object, std::string place = "") : object_(object), place_(std::move(place)) {}

  // Null when absent or null.
  const Json* find(const char* name) const;
  void read(const char* name, bool& out);
  void read(const char* name, std::optional<bool>& out);
  void read(const char* name, std::string& out);
  void read(const char* name, std::optional<int>& out, int least);
  void read(const char* name, std::optional<std::uint64_t>& out);
  void read(const char* name, std::optional<float>& out, float least, float most);
  void read(const char* name, float& out, float least, float most);
  // A string or an array of strings; empty ones are left out.
  void read(const char* name, std::vector<std::string>& out);
  void fail(const std::string& field, const std::string& message);
  void fail(http::ApiError error);
  const std::optional<http::ApiError>& error() const { return error_; }

 private:
  void wrong(const char* name, const Json& found, const char* expected);

  const Json& object_;
  std::string place_;
  std::optional<http::ApiError> error_;
};

// Text of a message's content: a string, or an array of parts whose `type` is in `text_types` and whose text
// is in "text". Other parts are refused by their type. `place` names the field in errors.
std::optional<http::ApiError> read_text(const Json& content, const std::string& place,
                                        std::initializer_list<std::string_view> text_types, std::string& out);

http::ApiError bad_request(std::string param, std::string message);

// A tool in the form that ChatRequest takes. `parameters` null: an object without properties.
std::string function_tool(const std::string& name, const Json* description, const Json* parameters);

// JSON as one line, with bytes that are no UTF-8 replaced.
std::string dump(const Json& value);

// `prefix` and 24 random characters.
std::string new_id(std::string_view prefix);

}  // namespace kakeya::serve::wire
