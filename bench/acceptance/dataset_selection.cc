#include "acceptance/dataset_selection.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace kakeya::acceptance {
namespace {

// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014), the finalizer of Vigna's public
// splitmix64.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // Uniform in 0..bound-1: values below 2^64 mod bound are drawn again, so that no remainder is favoured.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t rejected = (0 - bound) % bound;
    std::uint64_t value = next();
    while (value < rejected) value = next();
    return value % bound;
  }

 private:
  std::uint64_t state_;
};

}  // namespace

std::vector<std::size_t> select_indices(std::size_t available, std::size_t n, std::uint64_t seed) {
  std::vector<std::size_t> order(available);
  std::iota(order.begin(), order.end(), std::size_t{0});
  n = std::min(n, available);
  SplitMix64 random(seed);
  for (std::size_t i = 0; i < n; ++i) {
    std::swap(order[i], order[i + random.below(available - i)]);
  }
  order.resize(n);
  return order;
}

}  // namespace kakeya::acceptance
