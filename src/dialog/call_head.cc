#include "dialog/call_head.h"

#include <algorithm>

namespace kakeya::dialog {

CallScanner::Partial CallHead::look(std::string_view object, std::string_view key) {
  if (state_ == State::kUnknown) state_ = match(object, key);
  if (state_ != State::kKnown) return {};
  for (; end_ == std::string_view::npos && scanned_ < object.size(); ++scanned_) {
    const char c = object[scanned_];
    if (quoted_ && c == '\\') {
      if (scanned_ + 1 == object.size()) break;
      ++scanned_;
    } else if (c == '"') {
      quoted_ = !quoted_;
    } else if (!quoted_ && (c == '{' || c == '[')) {
      ++depth_;
    } else if (!quoted_ && (c == '}' || c == ']') && --depth_ == 0) {
      end_ = scanned_ + 1;
    }
  }
  const std::size_t end = std::min(end_, scanned_);
  return {name_, object.substr(begin_, end - begin_), end};
}

// {"name": "f", "KEY": {
CallHead::State CallHead::match(std::string_view object, std::string_view key) {
  std::string_view rest = object;
  const auto take = [&](std::string_view token) {
    const std::size_t first = std::min(rest.find_first_not_of(" \t\r\n"), rest.size());
    const std::string_view found = rest.substr(first);
    if (!found.starts_with(token)) return token.starts_with(found) ? State::kUnknown : State::kOther;
    rest.remove_prefix(first + token.size());
    return State::kKnown;
  };
  for (const std::string_view token : {"{", "\"name\"", ":", "\""}) {
    if (const State state = take(token); state != State::kKnown) return state;
  }
  const std::size_t name_end = rest.find_first_of("\"\\");
  if (name_end == std::string_view::npos) return State::kUnknown;
  if (rest[name_end] == '\\' || name_end == 0) return State::kOther;
  name_ = rest.substr(0, name_end);
  rest.remove_prefix(name_end + 1);
  for (const std::string_view token :
       {std::string_view(","), std::string_view("\""), key, std::string_view("\""), std::string_view(":"),
        std::string_view("{")}) {
    if (const State state = take(token); state != State::kKnown) return state;
  }
  begin_ = scanned_ = object.size() - rest.size() - 1;
  return State::kKnown;
}

}  // namespace kakeya::dialog
