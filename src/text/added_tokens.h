// Finds added tokens in text: leftmost first, longest at the same place, as Hugging Face's tokenizers do.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/tokenizer_file.h"
#include "text/prompt_text.h"

namespace kakeya::text {

class AddedTokenMatcher {
 public:
  // One token and the text that stands for it (its content, normalised where that is asked for).
  void add(const formats::AddedToken& token, std::string_view pattern);

  // Calls sink(id, part) over the whole text in order; id is empty for the text between tokens.
  // Special tokens that touch one of the `ordinary` spans (ascending, apart) are ordinary text. The part of a
  // token may include spaces.
  using Sink = std::function<void(std::optional<Token> id, std::string_view part)>;
  void split(std::string_view text, std::span<const TextSpan> ordinary, const Sink& sink) const;
  bool empty() const { return tokens_.empty(); }

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> children;
    int token = -1;
  };
  struct Match {
    std::size_t length = 0;
    int token = -1;
  };
  Match longest_at(std::string_view text) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<bool> first_byte_ = std::vector<bool>(256, false);
  std::vector<formats::AddedToken> tokens_;
};

}  // namespace kakeya::text
