// UTF-8 one sequence at a time, strict: no surrogates, no overlong forms, nothing beyond U+10FFFF.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kakeya::text {

struct Utf8Step {
  std::size_t length = 0;  // bytes of the sequence, or of the ill-formed part to replace as one; 0 at the end
  std::uint32_t code = 0;  // code point when valid
  bool valid = false;
  bool incomplete = false;  // ill-formed only because the input ends here
};

// The sequence at the front of `bytes`.
Utf8Step next_utf8(std::string_view bytes);
void append_utf8(std::string& out, std::uint32_t code);
// Length of the longest valid prefix.
std::size_t valid_utf8_prefix(std::string_view bytes);
// Start of the last code point of valid UTF-8; 0 for an empty view.
std::size_t last_code_point(std::string_view text);

bool is_unicode_space(std::uint32_t code);  // White_Space
bool is_word_character(std::uint32_t code);

inline constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace kakeya::text
