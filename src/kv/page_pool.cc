#include "kv/page_pool.h"

#include <algorithm>
#include <new>
#include <utility>

namespace kakeya::kv {

std::byte* PagePool::allocate(std::size_t bytes) {
  if (single_bytes_ < kSingleBytes) {
    std::unique_ptr<std::byte[]> page(new (std::nothrow) std::byte[bytes]);
    if (page == nullptr) return nullptr;
    single_bytes_ += bytes;
    singles_.push_back(std::move(page));
    return singles_.back().get();
  }
  if (blocks_.empty() || blocks_.back().bytes().size() - used_ < bytes) {
    auto block = base::PageBuffer::allocate(std::max(bytes, kBlockBytes));
    if (!block.ok()) return nullptr;
    blocks_.push_back(std::move(*block));
    used_ = 0;
  }
  std::byte* page = blocks_.back().bytes().data() + used_;
  used_ += bytes;
  return page;
}

}  // namespace kakeya::kv
