// What the system says about the machine, beyond kakeya/speed.h.
#pragma once
#include <cstdint>

namespace kakeya::engine {

// 0 = unknown.
std::uint64_t last_level_cache_bytes();

}  // namespace kakeya::engine
