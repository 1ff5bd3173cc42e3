#include "kv/page_list.h"

namespace kakeya::kv {

bool PageList::reserve(std::size_t tokens) {
  const std::size_t page_bytes = heads_ * kPageTokens * row_bytes_;
  while (capacity_tokens() < tokens) {
    std::byte* page = pool_->allocate(page_bytes);
    if (page == nullptr) return false;
    pages_.push_back(page);
    allocated_bytes_ += page_bytes;
  }
  return true;
}

}  // namespace kakeya::kv
