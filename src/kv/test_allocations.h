// For tests only: counts what the whole test program takes from the heap.
#pragma once
#include <cstddef>

namespace kakeya::kv {
std::size_t allocations_so_far();
}
