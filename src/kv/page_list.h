// Pages of packed rows of one layer, K or V. A page holds kPageTokens rows of every head, the rows of one
// head one after another, without padding; its memory comes from the cache's pool. Layout:
// docs/formats/kv-pages.md.
#pragma once
#include <cstddef>
#include <vector>

#include "kv/page_pool.h"

namespace kakeya::kv {

constexpr std::size_t kPageTokens = 64;

class PageList {
 public:
  // `pool` outlives the list.
  PageList(PagePool& pool, std::size_t heads, std::size_t row_bytes)
      : pool_(&pool), heads_(heads), row_bytes_(row_bytes) {}

  // Allocates pages until `tokens` fit. False when the system has no memory; pages already there stay.
  [[nodiscard]] bool reserve(std::size_t tokens);

  std::size_t capacity_tokens() const { return pages_.size() * kPageTokens; }
  // Bytes of all pages, counted as they were allocated.
  std::size_t allocated_bytes() const { return allocated_bytes_; }

  // Row of `head` at `position`; the head's following rows of the same page lie row_bytes apart.
  std::byte* row(std::size_t head, std::size_t position) {
    return pages_[position / kPageTokens] + offset(head, position);
  }
  const std::byte* row(std::size_t head, std::size_t position) const {
    return pages_[position / kPageTokens] + offset(head, position);
  }

 private:
  std::size_t offset(std::size_t head, std::size_t position) const {
    return (head * kPageTokens + position % kPageTokens) * row_bytes_;
  }

  PagePool* pool_;
  std::size_t heads_;
  std::size_t row_bytes_;
  std::vector<std::byte*> pages_;
  std::size_t allocated_bytes_ = 0;
};

}  // namespace kakeya::kv
