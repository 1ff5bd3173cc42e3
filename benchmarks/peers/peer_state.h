// The peer's saved state of one sequence, repeated at later positions: long contexts without computing them.
// Attention takes the same time whatever stands in the cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace peers {

struct RepeatRange {
  std::uint32_t first = 0;  // position of the first row
  std::uint32_t count = 0;
};

// `saved` is what llama_state_seq_get_data of release v0.5.0 gives for a sequence. The result holds its rows
// over and over at positions first .. first + count - 1. Throws std::runtime_error where the layout is
// another one.
std::vector<std::uint8_t> repeat_state(std::span<const std::uint8_t> saved, RepeatRange range);

}  // namespace peers
