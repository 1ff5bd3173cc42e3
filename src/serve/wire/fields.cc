#include "serve/wire/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace kakeya::serve::wire {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kShown = 40;  // characters of a wrong value in an error

bool too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

http::ApiError bad_request(std::string param, std::string message) {
  http::ApiError error;
  error.message = std::move(message);
  error.param = std::move(param);
  error.code = "invalid_value";
  return error;
}

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::optional<http::ApiError> parse_object(std::string_view body, Json& out) {
  if (too_deep(body)) return bad_request("", fmt::format("body: found JSON nested deeper than {}", kMaxDepth));
  out = Json::parse(body, nullptr, false);
  if (out.is_discarded()) return bad_request("", "body: found text that is no JSON, expected a JSON object");
  if (!out.is_object()) return bad_request("", fmt::format("body: found {}, expected an object", out.type_name()));
  return {};
}

const Json* Fields::find(const char* name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void Fields::fail(const std::string& field, const std::string& message) {
  if (!error_) error_ = bad_request(place_ + field, fmt::format("{}{}: {}", place_, field, message));
}

void Fields::fail(http::ApiError error) {
  if (!error_) error_ = std::move(error);
}

void Fields::wrong(const char* name, const Json& found, const char* expected) {
  std::string shown = dump(found);
  if (shown.size() > kShown) shown = found.type_name();
  fail(name, fmt::format("found {}, expected {}", shown, expected));
}

void Fields::read(const char* name, bool& out) {
  if (const Json* found = find(name)) {
    if (found->is_boolean()) {
      out = found->get<bool>();
    } else {
      wrong(name, *found, "true or false");
    }
  }
}

void Fields::read(const char* name, std::optional<bool>& out) {
  if (find(name) == nullptr) return;
  bool value = false;
  read(name, value);
  out = value;
}

void Fields::read(const char* name, std::string& out) {
  if (const Json* found = find(name)) {
    if (found->is_string()) {
      out = found->get<std::string>();
    } else {
      wrong(name, *found, "a string");
    }
  }
}

void Fields::read(const char* name, std::optional<int>& out, int least) {
  const Json* found = find(name);
  if (found == nullptr) return;
  // Some clients write whole numbers as 20.0.
  const double value = found->is_number() ? found->get<double>() : 0.5;
  if (value != std::floor(value) || value < least) {
    wrong(name, *found, fmt::format("a whole number of at least {}", least).c_str());
    return;
  }
  out = static_cast<int>(std::min(value, 2147483647.0));
}

void Fields::read(const char* name, std::optional<std::uint64_t>& out) {
  const Json* found = find(name);
  if (found == nullptr) return;
  if (found->is_number_integer()) {
    out = found->is_number_unsigned() ? found->get<std::uint64_t>()
                                      : static_cast<std::uint64_t>(found->get<std::int64_t>());
  } else {
    wrong(name, *found, "a whole number");
  }
}

void Fields::read(const char* name, std::optional<float>& out, float least, float most) {
  const Json* found = find(name);
  if (found == nullptr) return;
  const double value = found->is_number() ? found->get<double>() : std::nan("");
  if (!(value >= static_cast<double>(least) && value <= static_cast<double>(most))) {
    wrong(name, *found, fmt::format("a number from {} to {}", least, most).c_str());
    return;
  }
  out = static_cast<float>(value);
}

void Fields::read(const char* name, float& out, float least, float most) {
  std::optional<float> value;
  read(name, value, least, most);
  if (value) out = *value;
}

void Fields::read(const char* name, std::vector<std::string>& out) {
  const Json* found = find(name);
  if (found == nullptr) return;
  const auto add = [&](const Json& item) {
    if (!item.is_string()) {
      wrong(name, item, "a string or an array of strings");
    } else if (!item.get_ref<const std::string&>().empty()) {
      out.push_back(item.get<std::string>());
    }
  };
  if (found->is_array()) {
    for (const Json& item : *found) add(item);
  } else {
    add(*found);
  }
}

std::optional<http::ApiError> read_text(const Json& content, const std::string& place,
                                        std::initializer_list<std::string_view> text_types, std::string& out) {
  if (content.is_null()) return {};
  if (content.is_string()) {
    out += content.get<std::string>();
    return {};
  }
  if (!content.is_array()) {
    return bad_request(place, fmt::format("{}: found {}, expected a string or an array of parts", place,
                                          content.type_name()));
  }
  for (std::size_t i = 0; i < content.size(); ++i) {
    const Json& part = content[i];
    const std::string here = fmt::format("{}[{}]", place, i);
    const auto type = part.is_object() ? part.find("type") : part.end();
    if (!part.is_object() || type == part.end() || !type->is_string()) {
      return bad_request(here, fmt::format("{}: expected an object with a type", here));
    }
    const std::string& name = type->get_ref<const std::string&>();
    if (std::find(text_types.begin(), text_types.end(), name) == text_types.end()) {
      return bad_request(here, fmt::format("{}: found a part of type '{}'; this model takes text alone", here, name));
    }
    const auto text = part.find("text");
    if (text == part.end() || !text->is_string()) {
      return bad_request(here + ".text", fmt::format("{}.text: expected a string", here));
    }
    out += text->get_ref<const std::string&>();
  }
  return {};
}

std::string function_tool(const std::string& name, const Json* description, const Json* parameters) {
  Json function = {{"name", name}};
  if (description != nullptr) function["description"] = *description;
  if (parameters != nullptr && parameters->is_object() && !parameters->empty()) {
    function["parameters"] = *parameters;
  } else {
    function["parameters"] = {{"type", "object"}, {"properties", Json::object()}};
  }
  return dump({{"type", "function"}, {"function", std::move(function)}});
}

std::string new_id(std::string_view prefix) {
  static constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{(std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()};
  std::string id(prefix);
  for (int i = 0; i < 24; ++i) id += kDigits[random() % kDigits.size()];
  return id;
}

}  // namespace kakeya::serve::wire
