// The beginning of a call in JSON, {"name": "f", "arguments": {..., while it arrives.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "dialog/call_scanner.h"
#include "dialog/json_end.h"

namespace kakeya::dialog {

class CallHead {
 public:
  // `object` begins at the call's '{', white space before it allowed, and grows from call to call. `key`:
  // "arguments" or "parameters".
  CallScanner::Partial look(std::string_view object, std::string_view key);

 private:
  enum class State { kUnknown, kOther, kKnown };
  State match(std::string_view object, std::string_view key);

  State state_ = State::kUnknown;
  std::string name_;
  std::size_t begin_ = 0;  // of the arguments
  JsonEnd end_;
};

}  // namespace kakeya::dialog
