// The id of one vocabulary entry.
#pragma once
#include <cstdint>

namespace kakeya {
using Token = std::int32_t;
}  // namespace kakeya
