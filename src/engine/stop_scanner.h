// Stop strings in text that comes in pieces: what may still become one is held back.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::engine {

class StopScanner {
 public:
  explicit StopScanner(std::vector<std::string> stops);

  // Text that is safe to show. Once a stop string is complete, text before it, and found() tells which.
  std::string push(std::string_view piece);
  // What was held back, when no stop string came.
  std::string finish();
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<std::string> stops_;  // none is empty
  std::string held_;
  std::optional<std::string> found_;
};

}  // namespace kakeya::engine
