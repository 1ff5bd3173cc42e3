// The twelve bytes of 6-bit scales and minimums in Q4_K and Q5_K blocks. For code that reads or writes
// blocks; nothing else needs them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace kakeya::kernels {

struct SubScale {
  std::uint8_t scale = 0, min = 0;  // 6 bits each
};

// Sub-blocks 0..3 have their six bits in bytes 0..3 (scale) and 4..7 (min); sub-blocks 4..7 have the low four
// bits in bytes 8..11 and the high two in the top of those same bytes 0..7.
inline SubScale sub_scale(const std::uint8_t* packed, std::size_t s) {
  if (s < 4) {
    return {static_cast<std::uint8_t>(packed[s] & 63), static_cast<std::uint8_t>(packed[s + 4] & 63)};
  }
  const std::uint8_t low = packed[s + 4];
  return {static_cast<std::uint8_t>((low & 15) | (packed[s - 4] >> 6) << 4),
          static_cast<std::uint8_t>(low >> 4 | (packed[s] >> 6) << 4)};
}

// `packed` is zero at first; every sub-block is set once.
inline void set_sub_scale(std::uint8_t* packed, std::size_t s, SubScale sub) {
  if (s < 4) {
    packed[s] = static_cast<std::uint8_t>(packed[s] | sub.scale);
    packed[s + 4] = static_cast<std::uint8_t>(packed[s + 4] | sub.min);
    return;
  }
  packed[s + 4] = static_cast<std::uint8_t>((sub.scale & 15) | (sub.min & 15) << 4);
  packed[s - 4] = static_cast<std::uint8_t>(packed[s - 4] | (sub.scale >> 4) << 6);
  packed[s] = static_cast<std::uint8_t>(packed[s] | (sub.min >> 4) << 6);
}

}  // namespace kakeya::kernels
