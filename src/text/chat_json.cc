#include "text/chat_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "formats/json_text.h"

namespace kakeya::text {
namespace {

using Json = nlohmann::ordered_json;

// Builds values like the library's own parser, but keeps the digits of long integers.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(Json& root) : root_(root) {}
  const std::string& problem() const { return problem_; }

  bool null() override { return put(Json()); }
  bool boolean(bool value) override { return put(Json(value)); }
  bool number_integer(number_integer_t value) override { return put(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return put(Json(value)); }
  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_of(".eE") != string_t::npos) return put(Json(value));
    return put(Json::binary({text.begin(), text.end()}));
  }
  bool string(string_t& value) override { return put(Json(std::move(value))); }
  bool binary(binary_t& value) override { return put(Json(value)); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool key(string_t& value) override {
    slot_ =
        &(*open_.back())[value];  // of duplicate keys the first place and the last value stay, as in Python
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    problem_ = formats::printable(error.what());
    return false;
  }

 private:
  Json* place(Json value) {
    Json* target = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(nullptr);
      target = &open_.back()->back();
    } else if (!open_.empty()) {
      target = slot_;
    }
    *target = std::move(value);
    return target;
  }
  bool put(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json& root_;
  std::vector<Json*> open_;  // the containers being filled; none of them moves before it is closed
  Json* slot_ = nullptr;
  std::string problem_;
};

void dump_string(const std::string& text, std::string& out) {
  constexpr const char* kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[static_cast<unsigned char>(c) >> 4];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

// Depth is bounded by parse_chat_json. `line`: how many spaces a line begins with; -1 = all on one line.
void dump(const Json& value, int line, std::string& out) {
  if (value.is_object() || value.is_array()) {
    const bool object = value.is_object();
    const int inner = line < 0 || value.empty() ? -1 : line + 4;
    const auto new_line = [&](int spaces) {
      if (inner >= 0) out.append(1, '\n').append(static_cast<std::size_t>(spaces), ' ');
    };
    out += object ? '{' : '[';
    bool first = true;
    for (const auto& item : value.items()) {
      if (!first) out += inner < 0 ? ", " : ",";
      first = false;
      new_line(inner);
      if (object) {
        dump_string(item.key(), out);
        out += ": ";
      }
      dump(item.value(), inner, out);
    }
    new_line(line);
    out += object ? '}' : ']';
  } else if (value.is_string()) {
    dump_string(value.get_ref<const std::string&>(), out);
  } else if (value.is_binary()) {
    out.append(value.get_binary().begin(), value.get_binary().end());
  } else if (value.is_number_float()) {
    out += python_float(value.get<double>());
  } else {
    out += value.dump();
  }
}

// repr() of a str whose characters beyond ASCII can be printed.
void repr_string(const std::string& text, std::string& out) {
  constexpr const char* kHex = "0123456789abcdef";
  const bool single = text.find('\'') == std::string::npos || text.find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  out += quote;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      out.append(1, '\\').append(1, c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out.append(1, '\\').append(1, c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    } else if (byte < 0x20 || byte == 0x7f) {
      out.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    } else {
      out += c;
    }
  }
  out += quote;
}

void repr(const Json& value, std::string& out) {
  if (value.is_object() || value.is_array()) {
    out += value.is_object() ? '{' : '[';
    bool first = true;
    for (const auto& item : value.items()) {
      if (!first) out += ", ";
      first = false;
      if (value.is_object()) {
        repr_string(item.key(), out);
        out += ": ";
      }
      repr(item.value(), out);
    }
    out += value.is_object() ? '}' : ']';
  } else if (value.is_string()) {
    repr_string(value.get_ref<const std::string&>(), out);
  } else if (value.is_boolean()) {
    out += value.get<bool>() ? "True" : "False";
  } else if (value.is_null()) {
    out += "None";
  } else {
    dump(value, -1, out);
  }
}

}  // namespace

Result<Json> parse_chat_json(const std::string& what, std::string_view text) {
  if (const Status bounds = formats::check_json_bounds(what, text); !bounds.ok()) {
    return invalid_argument(bounds.error().message);
  }
  Json root;
  Builder builder(root);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    return invalid_argument("read " + what + ": not valid JSON: " + builder.problem());
  }
  return root;
}

std::string python_dumps(const Json& value) {
  std::string out;
  dump(value, -1, out);
  return out;
}

std::string python_dumps_indented(const Json& value) {
  std::string out;
  dump(value, 0, out);
  return out;
}

std::string python_str(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  std::string out;
  repr(value, out);
  return out;
}

std::string python_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  std::array<char, 64> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const char* exponent_text = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_text, end.ptr, exponent);
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '-' && c != '.') digits += c;
  }
  const std::string sign = std::signbit(value) ? "-" : "";
  const auto count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    const std::string magnitude = std::to_string(std::abs(exponent));
    return sign + digits[0] + (count > 1 ? "." + digits.substr(1) : "") + (exponent < 0 ? "e-" : "e+") +
           (magnitude.size() < 2 ? "0" : "") + magnitude;
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1)
    return sign + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  const auto whole = static_cast<std::size_t>(exponent + 1);
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace kakeya::text
