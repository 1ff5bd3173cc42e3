// Memory for the pages of one cache. The first are allocations of their own; once they hold kSingleBytes,
// pages lie side by side in blocks of huge pages, where the system gives them: 64 tokens of a head end after
// two small pages of memory, and finding each costs as long as reading half of it
// (docs/decisions/0015-attention-fetches.md).
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "base/page_buffer.h"

namespace kakeya::kv {

class PagePool {
 public:
  static constexpr std::size_t kSingleBytes = std::size_t{16} << 20;
  static constexpr std::size_t kBlockBytes = std::size_t{8} << 20;

  // `bytes` bytes that live as long as the pool; null when the system has no memory. What a block has beyond
  // its last page is address space without memory, but for the rest of one huge page.
  std::byte* allocate(std::size_t bytes);

 private:
  std::vector<std::unique_ptr<std::byte[]>> singles_;
  std::size_t single_bytes_ = 0;
  std::vector<base::PageBuffer> blocks_;
  std::size_t used_ = 0;  // bytes of the last block
};

}  // namespace kakeya::kv
