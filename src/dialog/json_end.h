// Where a JSON object or list ends, while its text arrives.
#pragma once
#include <cstddef>
#include <string_view>

namespace kakeya::dialog {

class JsonEnd {
 public:
  // `begin`: of the opening bracket, in every text that find() is given.
  explicit JsonEnd(std::size_t begin = 0) : scanned_(begin) {}

  // Behind the closing bracket; npos while it has not come. `text` grows from call to call.
  std::size_t find(std::string_view text) {
    for (; end_ == std::string_view::npos && scanned_ < text.size(); ++scanned_) {
      const char c = text[scanned_];
      if (quoted_ && c == '\\') {
        if (scanned_ + 1 == text.size()) break;
        ++scanned_;
      } else if (c == '"') {
        quoted_ = !quoted_;
      } else if (!quoted_ && (c == '{' || c == '[')) {
        ++depth_;
      } else if (!quoted_ && (c == '}' || c == ']') && --depth_ == 0) {
        end_ = scanned_ + 1;
      }
    }
    return end_;
  }
  std::size_t scanned() const { return scanned_; }  // bytes that were looked at

 private:
  std::size_t scanned_, depth_ = 0, end_ = std::string_view::npos;
  bool quoted_ = false;
};

}  // namespace kakeya::dialog
