// Which problems a seed selects: a permutation that every language can reproduce (docs/formats/datasets.md).
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kakeya::acceptance {

// The first min(n, available) places of the seed's permutation of 0..available-1. The first n do not depend
// on n.
std::vector<std::size_t> select_indices(std::size_t available, std::size_t n, std::uint64_t seed);

}  // namespace kakeya::acceptance
