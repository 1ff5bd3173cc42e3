#include "base/page_buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <string>
#include <utility>

namespace kakeya::base {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

Result<PageBuffer> PageBuffer::allocate(std::size_t bytes) {
  PageBuffer buffer;
  if (bytes == 0) return buffer;
  // Small buffers stay on small pages: rounding them up would waste most of a huge one.
  const std::size_t slack = bytes >= kHugePage ? kHugePage : 0;
  void* mapping = bytes > SIZE_MAX - slack ? MAP_FAILED
                                           : ::mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    return Error{ErrorCode::kOutOfMemory, "memory: the system refused " + std::to_string(bytes) + " bytes"};
  }
  buffer.mapping_ = mapping;
  buffer.mapped_bytes_ = bytes + slack;
  const auto address = reinterpret_cast<std::uintptr_t>(mapping);
  const std::uintptr_t start = slack == 0 ? address : (address + kHugePage - 1) / kHugePage * kHugePage;
  buffer.data_ = static_cast<std::byte*>(mapping) + (start - address);
  buffer.size_ = bytes;
#ifdef MADV_HUGEPAGE
  if (slack != 0) (void)::madvise(buffer.data_, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return buffer;
}

PageBuffer::PageBuffer(PageBuffer&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

PageBuffer& PageBuffer::operator=(PageBuffer&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

PageBuffer::~PageBuffer() {
  if (mapping_ != nullptr) (void)::munmap(mapping_, mapped_bytes_);
}

}  // namespace kakeya::base
