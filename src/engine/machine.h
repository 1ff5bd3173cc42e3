// What the system says about the machine, beyond kakeya/speed.h.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <string>

namespace kakeya::engine {

// Errors: kOutOfMemory naming both when `what` needs more bytes than are available; 0 available: unknown.
Status check_free_memory(const std::string& what, std::uint64_t needed, std::uint64_t available);

// Freed memory that the allocator keeps goes back to the system, where the C library can do that.
void release_freed_memory();

// 0 = unknown.
std::uint64_t last_level_cache_bytes();

}  // namespace kakeya::engine
