#include "dialog/tool_call.h"

#include <nlohmann/json.hpp>
#include <random>

namespace kakeya::dialog {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 256;  // of arguments; deeper ones are no call

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Reads over JSON that is known to be valid; finds where values begin and end.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) { skip_space(); }
  // The bytes of the value here; stands behind it and the white space after it.
  std::string_view value() {
    const std::size_t begin = at_;
    std::size_t depth = 0;
    do {
      const char c = text_[at_];
      if (c == '"') {
        skip_string();
      } else {
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
        ++at_;
      }
    } while (at_ < text_.size() && (depth > 0 || !ends_scalar(begin)));
    const std::string_view found = text_.substr(begin, at_ - begin);
    skip_space();
    return found;
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    skip_space();
    return true;
  }

 private:
  // Containers and strings end where they close, others before a separator.
  bool ends_scalar(std::size_t begin) const {
    const char first = text_[begin], next = text_[at_];
    if (first == '{' || first == '[' || first == '"') return true;
    return is_space(next) || next == ',' || next == '}' || next == ']';
  }
  void skip_string() {
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

bool is_object(std::string_view text) {
  if (!is_shallow(text)) return false;
  return json::parse(text.begin(), text.end(), nullptr, false).is_object();
}

}  // namespace

bool is_shallow(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '{' || c == '[')) {
      deepest = std::max(deepest, ++depth);
    } else if (!quoted && (c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest <= kMaxDepth;
}

std::string json_string(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<ParsedCall> parse_tool_call(std::string_view text) {
  if (!is_object(text)) return std::nullopt;
  ParsedCall call;
  bool named = false;
  std::string_view arguments = "{}";
  Scanner scanner(text);
  scanner.take('{');
  while (!scanner.take('}')) {  // of duplicate keys the last one counts, as in Python
    const std::string_view key = scanner.value();
    scanner.take(':');
    const std::string_view value = scanner.value();
    scanner.take(',');
    const json name = json::parse(key.begin(), key.end(), nullptr, false);
    if (name == "name") {
      const json found = json::parse(value.begin(), value.end(), nullptr, false);
      named = found.is_string() && !found.get_ref<const std::string&>().empty();
      if (named) call.name = found.get<std::string>();
    } else if (name == "arguments" || name == "parameters") {
      arguments = value;
      call.has_arguments = true;
    }
  }
  if (!named) return std::nullopt;
  call.arguments = arguments;
  if (arguments.front() == '"') {
    call.arguments = json::parse(arguments.begin(), arguments.end(), nullptr, false).get<std::string>();
    if (!is_object(call.arguments)) return std::nullopt;
  } else if (arguments == "null") {
    call.arguments = "{}";
  } else if (arguments.front() != '{') {
    return std::nullopt;
  }
  return call;
}

std::string new_call_id() {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::random_device entropy;
  std::uniform_int_distribution<std::size_t> digit(0, kDigits.size() - 1);
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kDigits[digit(entropy)];
  return id;
}

}  // namespace kakeya::dialog
