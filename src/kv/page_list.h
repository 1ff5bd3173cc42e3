// Pages of packed rows of one layer, K or V. A page holds kPageTokens rows of every head, the rows of one
// head one after another; it is one allocation without padding. Layout: docs/formats/kv-pages.md.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

namespace kakeya::kv {

constexpr std::size_t kPageTokens = 64;

class PageList {
 public:
  PageList(std::size_t heads, std::size_t row_bytes) : heads_(heads), row_bytes_(row_bytes) {}

  // Allocates pages until `tokens` fit. False when the system has no memory; pages already there stay.
  [[nodiscard]] bool reserve(std::size_t tokens);

  std::size_t capacity_tokens() const { return pages_.size() * kPageTokens; }
  // Bytes of all pages, counted as they were allocated.
  std::size_t allocated_bytes() const { return allocated_bytes_; }

  // Row of `head` at `position`; the head's following rows of the same page lie row_bytes apart.
  std::byte* row(std::size_t head, std::size_t position) {
    return pages_[position / kPageTokens].get() + offset(head, position);
  }
  const std::byte* row(std::size_t head, std::size_t position) const {
    return pages_[position / kPageTokens].get() + offset(head, position);
  }

 private:
  std::size_t offset(std::size_t head, std::size_t position) const {
    return (head * kPageTokens + position % kPageTokens) * row_bytes_;
  }

  std::size_t heads_;
  std::size_t row_bytes_;
  std::vector<std::unique_ptr<std::byte[]>> pages_;
  std::size_t allocated_bytes_ = 0;
};

}  // namespace kakeya::kv
