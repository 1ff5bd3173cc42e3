// A rendered prompt that remembers which of its bytes came from outside: special tokens spelled there are not
// the template's own.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kakeya::text {

struct TextSpan {
  std::size_t begin = 0, end = 0;  // bytes
};

class PromptText {
 public:
  // The template's own text.
  PromptText& own(std::string_view text) {
    text_ += text;
    return *this;
  }
  // A role, message, tool, ... of the request.
  PromptText& given(std::string_view text) {
    if (text.empty()) return *this;
    if (!given_.empty() && given_.back().end == text_.size()) {
      given_.back().end += text.size();
    } else {
      given_.push_back({text_.size(), text_.size() + text.size()});
    }
    text_ += text;
    return *this;
  }

  const std::string& text() const& { return text_; }
  std::string text() && { return std::move(text_); }
  const std::vector<TextSpan>& given() const { return given_; }  // ascending, apart from each other

 private:
  std::string text_;
  std::vector<TextSpan> given_;
};

}  // namespace kakeya::text
