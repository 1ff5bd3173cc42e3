#include "serve/json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "serve/failures.h"

namespace kakeya::serve {
namespace {

constexpr std::size_t kMaxDepth = 128;  // deeper than any schema that people write
constexpr std::size_t kMaxValues = std::size_t{4} << 20;

// One pass, nothing allocated: the parser's values cost up to 100 bytes each, writers recurse.
std::optional<std::string> out_of_bounds(std::string_view text) {
  std::size_t depth = 0, values = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return fmt::format("nested more than {} deep at byte {}", kMaxDepth, i);
      ++values;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    } else if (c == ',') {
      ++values;
    }
    if (values > kMaxValues) return fmt::format("more than {} values", kMaxValues);
  }
  return {};
}

// The escape \uXXXX at `at`, if there is one.
std::optional<unsigned> escape_at(std::string_view text, std::size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return {};
  unsigned value = 0;
  const char* end = text.data() + at + 6;
  const auto [stop, error] = std::from_chars(text.data() + at + 2, end, value, 16);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

bool is_high(std::optional<unsigned> unit) { return unit && *unit >= 0xd800 && *unit < 0xdc00; }
bool is_low(std::optional<unsigned> unit) { return unit && *unit >= 0xdc00 && *unit < 0xe000; }

// Escapes of half a character, which clients write where they cut a text, become U+FFFD; sizes stay. Nothing
// when there is none.
std::optional<std::string> without_halves(std::string_view text) {
  std::optional<std::string> out;
  for (std::size_t i = text.find('\\'); i < text.size(); i = text.find('\\', i)) {
    const auto unit = escape_at(text, i);
    if (is_high(unit) && is_low(escape_at(text, i + 6))) {
      i += 12;
    } else if (is_high(unit) || is_low(unit)) {
      if (!out) out.emplace(text);
      out->replace(i + 2, 4, "fffd");
      i += 6;
    } else {
      i += 2;  // an escaped backslash begins no escape
    }
  }
  return out;
}

}  // namespace

std::string dump(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace); }

http::Response json_response(const Json& body, int status) {
  http::Response response;
  response.status = status;
  response.body = dump(body);
  return response;
}

std::string describe(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.size() <= 40 ? dump(value) : "a string of " + std::to_string(text.size()) + " bytes";
  }
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  return dump(value);
}

std::optional<http::ApiError> parse_body(std::string_view body, Json& out) {
  http::ApiError error;
  error.code = "invalid_json";
  if (const auto problem = out_of_bounds(body)) {
    error.message = "The request's body: " + *problem + ".";
    return error;
  }
  const auto mended = without_halves(body);
  if (mended) body = *mended;
  try {
    out = Json::parse(body.begin(), body.end());
  } catch (const Json::parse_error& problem) {
    error.message =
        fmt::format("The request's body is not JSON: mistake at byte {} of {}.", problem.byte, body.size());
    return error;
  } catch (const Json::exception&) {  // a number beyond the range of double
    error.message = "The request's body holds a number that cannot be read.";
    return error;
  }
  if (out.is_object()) return {};
  error.message = fmt::format("The request's body: found {}, expected an object.", describe(out));
  return error;
}

const Json* field(const Json& object, const char* name) {
  const auto at = object.find(name);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

std::string text_field(const Json& object, const char* name) {
  const Json* value = field(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

Fields::Fields(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

const Json* Fields::find(const char* name) const { return field(object_, name); }

void Fields::fail(http::ApiError error) {
  if (!error_) error_ = std::move(error);
}

void Fields::fail(const char* name, const std::string& message) {
  fail(bad_field(prefix_ + name, prefix_ + name + ": " + message));
}

void Fields::refuse(const char* name, const std::string& message) {
  fail(unsupported_field(prefix_ + name, prefix_ + name + ": " + message));
}

const Json* Fields::wanted(const char* name, bool fits, const Json* value, const char* expected) {
  if (value == nullptr || error_) return nullptr;
  if (fits) return value;
  fail(name, fmt::format("found {}, expected {}.", describe(*value), expected));
  return nullptr;
}

bool Fields::boolean(const char* name, bool fallback) {
  const Json* value = find(name);
  value = wanted(name, value != nullptr && value->is_boolean(), value, "true or false");
  return value == nullptr ? fallback : value->get<bool>();
}

std::optional<double> Fields::number(const char* name, double low, double high) {
  const Json* value = find(name);
  const std::string expected = fmt::format("a number from {} to {}", low, high);
  value = wanted(
      name,
      value != nullptr && value->is_number() && value->get<double>() >= low && value->get<double>() <= high,
      value, expected.c_str());
  return value == nullptr ? std::nullopt : std::optional(value->get<double>());
}

std::optional<std::int64_t> Fields::integer(const char* name, std::int64_t low, std::int64_t high) {
  const Json* value = find(name);
  bool fits = false;
  std::int64_t whole = 0;
  if (value != nullptr && value->is_number()) {
    // 2^63 and more: as far as integers go. 256.0 is how some clients write 256.
    const double real = value->get<double>();
    fits = std::floor(real) == real;
    if (fits && std::abs(real) < 9.2e18) {
      whole = value->is_number_float() ? static_cast<std::int64_t>(real) : value->get<std::int64_t>();
    } else if (fits) {
      whole = real > 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
    }
    fits = fits && whole >= low && whole <= high;
  }
  const std::string expected = high == std::numeric_limits<std::int64_t>::max()
                                   ? fmt::format("a whole number of at least {}", low)
                                   : fmt::format("a whole number from {} to {}", low, high);
  value = wanted(name, fits, value, expected.c_str());
  return value == nullptr ? std::nullopt : std::optional(whole);
}

std::optional<std::string> Fields::text(const char* name) {
  const Json* value = find(name);
  value = wanted(name, value != nullptr && value->is_string(), value, "a string");
  return value == nullptr ? std::nullopt : std::optional(value->get<std::string>());
}

const Json* Fields::object(const char* name) {
  const Json* value = find(name);
  return wanted(name, value != nullptr && value->is_object(), value, "an object");
}

const Json* Fields::array(const char* name) {
  const Json* value = find(name);
  return wanted(name, value != nullptr && value->is_array(), value, "an array");
}

std::vector<std::string> Fields::texts(const char* name, std::size_t at_most) {
  const Json* value = find(name);
  if (value == nullptr || error_) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> texts;
  bool fits = value->is_array() && value->size() <= at_most;
  for (std::size_t i = 0; fits && i < value->size(); ++i) {
    fits = (*value)[i].is_string();
    if (fits) texts.push_back((*value)[i].get<std::string>());
  }
  const std::string expected = fmt::format("a string or an array of at most {} strings", at_most);
  return wanted(name, fits, value, expected.c_str()) == nullptr ? std::vector<std::string>() : texts;
}

}  // namespace kakeya::serve
