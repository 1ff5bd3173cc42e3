#include "dialog/call_head.h"

#include <algorithm>

namespace kakeya::dialog {

CallScanner::Partial CallHead::look(std::string_view object, std::string_view key) {
  if (state_ == State::kUnknown) state_ = match(object, key);
  if (state_ != State::kKnown) return {};
  const std::size_t found = end_.find(object), end = std::min(found, end_.scanned());
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
  begin_ = object.size() - rest.size() - 1;
  end_ = JsonEnd(begin_);
  return State::kKnown;
}

}  // namespace kakeya::dialog
