// What the gate counts: the main kernels, each at one small shape per CPU variant. Inputs are the same in
// every run and buffers begin on a page, so that no count depends on where memory happens to lie.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gate/step_counter.h"

namespace kakeya::gate {

struct Case {
  std::string name;     // "panels/q4_0/rows:8"
  std::string variant;  // of kernels::Table, or with "+vbmi" where the lattice codes need that too
  double units = 1;     // of work in one call
  std::string unit;     // "value", "vector", "block product" (16 outputs x 32 inputs x a row), ...
  std::function<Call()> prepare;

  std::string key() const { return name + " [" + variant + "]"; }
};

// Those that this build has and this CPU can run.
std::vector<Case> all_cases();
// False for variants of other CPUs.
bool can_run(std::string_view variant);

// The parts of all_cases().
void append_row_cases(std::vector<Case>& out);
void append_product_cases(std::vector<Case>& out);
void append_cache_cases(std::vector<Case>& out);

// `n` values of T that begin on a page, zero; copies share them.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t n) : size_(n) {
    constexpr std::size_t kPage = 4096;
    const std::size_t bytes = (n * sizeof(T) + 2 * kPage - 1) / kPage * kPage;
    data_ = std::shared_ptr<T>(static_cast<T*>(std::aligned_alloc(kPage, bytes)), std::free);
    if (data_ == nullptr) std::abort();
    for (std::size_t i = 0; i < n; ++i) data_.get()[i] = T();
  }
  T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::shared_ptr<T> data_;
  std::size_t size_ = 0;
};

// Between -1 and 1.
inline Buffer<float> test_floats(std::size_t n, std::uint32_t seed) {
  Buffer<float> out(n);
  std::uint32_t state = seed;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;  // Numerical Recipes' generator
    out.data()[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
  }
  return out;
}

}  // namespace kakeya::gate
