// Replaces operator new of this test program by one that counts. Apart from its users, so that no caller sees
// through it.
#include <atomic>
#include <cstdlib>
#include <new>

#include "kv/test_allocations.h"

namespace {

std::atomic<std::size_t> count = 0;

void* counted(std::size_t size, std::size_t alignment) {
  ++count;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  if (void* p = alignment == 1 ? std::malloc(size) : std::aligned_alloc(alignment, rounded)) return p;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted(size, 1); }
void* operator new(std::size_t size, std::align_val_t line) {
  return counted(size, static_cast<std::size_t>(line));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace kakeya::kv {
std::size_t allocations_so_far() { return count; }
}  // namespace kakeya::kv
