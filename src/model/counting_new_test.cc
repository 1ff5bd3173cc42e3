// Replaces operator new in this test program by one that counts. In a file of its own: seen together with its
// callers, compilers take malloc and delete for a mismatch.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace kakeya::model::testing {

std::size_t allocation_count();

std::size_t allocation_count() { return allocations.load(); }

}  // namespace kakeya::model::testing
