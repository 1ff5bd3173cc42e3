// Memory of pages: no two overlap, all can be written, and it grows by what is asked for.
#include "kv/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace kakeya::kv {
namespace {

// Pages of all sizes mixed, well beyond the first that lie alone and over several blocks.
TEST(PagePool, PagesLieApartAndHoldWhatIsWritten) {
  PagePool pool;
  constexpr std::size_t kSizes[] = {4864, 38912, 131072, 64, 3 << 20};
  constexpr std::size_t kWanted = PagePool::kSingleBytes + 3 * PagePool::kBlockBytes;
  std::vector<std::pair<std::byte*, std::size_t>> pages;
  for (std::size_t total = 0; total < kWanted; total += pages.back().second) {
    const std::size_t bytes = kSizes[pages.size() % std::size(kSizes)];
    pages.emplace_back(pool.allocate(bytes), bytes);
    ASSERT_NE(pages.back().first, nullptr);
    std::memset(pages.back().first, static_cast<int>(pages.size() % 251), bytes);
  }
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const auto [page, bytes] = pages[i];
    const auto value = static_cast<std::byte>((i + 1) % 251);
    EXPECT_TRUE(std::all_of(page, page + bytes, [&](std::byte b) { return b == value; })) << "page " << i;
  }
}

TEST(PagePool, APageLargerThanABlockGetsItsOwn) {
  PagePool pool;
  ASSERT_NE(pool.allocate(PagePool::kSingleBytes), nullptr);
  constexpr std::size_t kLarge = 2 * PagePool::kBlockBytes + 1;
  std::byte* page = pool.allocate(kLarge);
  ASSERT_NE(page, nullptr);
  page[0] = page[kLarge - 1] = std::byte{1};
  std::byte* after = pool.allocate(64);
  ASSERT_NE(after, nullptr);
  after[0] = std::byte{2};
  EXPECT_EQ(page[kLarge - 1], std::byte{1});
}

TEST(PagePool, MemoryThatIsNotThereIsNull) {
  PagePool pool;
  ASSERT_NE(pool.allocate(PagePool::kSingleBytes), nullptr);
  EXPECT_EQ(pool.allocate(static_cast<std::size_t>(-1) / 4), nullptr);
}

}  // namespace
}  // namespace kakeya::kv
