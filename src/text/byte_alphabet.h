// GPT-2's byte-level alphabet: every byte has a printable character that stands for it in vocabularies.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kakeya::text {

// The character that stands for a byte, as UTF-8.
std::string_view byte_character(std::uint8_t byte);
// Raw bytes -> alphabet.
std::string to_alphabet(std::string_view bytes);
// Alphabet -> raw bytes; nothing when a character is outside the alphabet.
std::optional<std::string> from_alphabet(std::string_view token);

}  // namespace kakeya::text
