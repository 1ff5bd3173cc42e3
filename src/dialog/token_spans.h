// Which tokens stand behind which bytes of an answer: parts of an answer carry the tokens that settled them.
#pragma once
#include <cstddef>
#include <deque>
#include <functional>
#include <string_view>
#include <vector>

#include "dialog/dialog.h"

namespace kakeya::dialog {

// A token goes, once, to the first part that shows one of its bytes. Tokens of which no part shows a byte
// (tags, dropped white space, end of text) go to none, so that the tokens of all content, joined, are the
// content; only a token that reaches over a tag's edge has more bytes than its part shows.
class TokenSpans {
 public:
  // `text_of`: the bytes of a token as they appear in the text; none for special tokens.
  using TextOf = std::function<std::string(Token)>;
  explicit TokenSpans(TextOf text_of) : text_of_(std::move(text_of)) {}

  // The tokens and text of one kText event. Where bytes that are no UTF-8 became U+FFFD, places are off until
  // the next event.
  void add(const ServiceEvent& event);
  // Moves the tokens of the bytes [begin, end) into the part. Ranges ascend.
  void take(std::size_t begin, std::size_t end, AnswerPart& part);
  // How many tokens begin before this byte, of all that were added.
  std::size_t count_before(std::size_t end) const;

 private:
  struct Span {
    std::size_t begin = 0, end = 0;
    Token id = 0;
    std::uint8_t drafted = 0;
    std::optional<TokenLogprob> logprob;
  };
  TextOf text_of_;
  std::deque<Span> waiting_;
  std::vector<std::size_t> begins_;
  std::size_t tokens_end_ = 0, text_end_ = 0;  // bytes; tokens are ahead by characters that are not whole yet
};

}  // namespace kakeya::dialog
