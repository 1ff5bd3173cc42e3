// A large zeroed buffer straight from the system, in huge pages where it gives them: weights read once per
// token spend measurable time on page walks otherwise.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <span>

namespace kakeya::base {

class PageBuffer {
 public:
  PageBuffer() = default;
  // Errors: kOutOfMemory naming the size.
  static Result<PageBuffer> allocate(std::size_t bytes);
  PageBuffer(PageBuffer&& other) noexcept;
  PageBuffer& operator=(PageBuffer&& other) noexcept;
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;
  ~PageBuffer();

  // As many bytes as asked for; the start is aligned to a page at least.
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  void* mapping_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace kakeya::base
