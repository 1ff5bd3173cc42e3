#include "text/byte_alphabet.h"

#include <array>

#include "text/utf8.h"

namespace kakeya::text {
namespace {

struct Alphabet {
  std::array<std::string, 256> character;
  std::array<int, 512> byte;  // code point -> byte, -1 outside; the alphabet ends at U+0143
};

// Printable Latin-1 stands for itself; the other 68 bytes take U+0100 and up, in order.
Alphabet make_alphabet() {
  Alphabet out;
  out.byte.fill(-1);
  std::uint32_t next = 0x100;
  for (std::uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    const std::uint32_t code = printable ? b : next++;
    append_utf8(out.character[b], code);
    out.byte[code] = static_cast<int>(b);
  }
  return out;
}

const Alphabet& alphabet() {
  static const Alphabet kAlphabet = make_alphabet();
  return kAlphabet;
}

}  // namespace

std::string_view byte_character(std::uint8_t byte) { return alphabet().character[byte]; }

std::string to_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char c : bytes) out += byte_character(static_cast<std::uint8_t>(c));
  return out;
}

std::optional<std::string> from_alphabet(std::string_view token) {
  std::string out;
  while (!token.empty()) {
    const Utf8Step step = next_utf8(token);
    if (!step.valid || step.code >= alphabet().byte.size() || alphabet().byte[step.code] < 0)
      return std::nullopt;
    out.push_back(static_cast<char>(alphabet().byte[step.code]));
    token.remove_prefix(step.length);
  }
  return out;
}

}  // namespace kakeya::text
