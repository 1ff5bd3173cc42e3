#include "kv/page_list.h"

#include <new>

namespace kakeya::kv {

bool PageList::reserve(std::size_t tokens) {
  const std::size_t page_bytes = heads_ * kPageTokens * row_bytes_;
  while (capacity_tokens() < tokens) {
    std::unique_ptr<std::byte[]> page(new (std::nothrow) std::byte[page_bytes]);
    if (page == nullptr) return false;
    pages_.push_back(std::move(page));
    allocated_bytes_ += page_bytes;
  }
  return true;
}

}  // namespace kakeya::kv
