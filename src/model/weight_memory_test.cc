#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "model/weights.h"

namespace kakeya::model {
namespace {

TEST(WeightMemory, SmallMatricesFollowOneAnother) {
  WeightMemory memory;
  const auto first = memory.allocate(100), second = memory.allocate(200), third = memory.allocate(64);
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  EXPECT_EQ(first->size(), 100u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first->data()) % 64, 0u);
  EXPECT_EQ(second->data(), first->data() + 128);
  EXPECT_EQ(third->data(), second->data() + 256);
  EXPECT_EQ(memory.bytes(), 364u);
}

TEST(WeightMemory, AMatrixLargerThanABlockLeavesTheBlockAtHand) {
  WeightMemory memory;
  const auto first = memory.allocate(64);
  const auto large = memory.allocate(std::size_t{100} << 20);
  const auto second = memory.allocate(64);
  ASSERT_TRUE(first.ok() && large.ok() && second.ok());
  EXPECT_EQ(large->size(), std::size_t{100} << 20);
  EXPECT_EQ(second->data(), first->data() + 64);
  EXPECT_TRUE(
      std::all_of(large->begin(), large->begin() + 4096, [](std::byte b) { return b == std::byte{0}; }));
}

TEST(WeightMemory, MoreThanTheSystemHasIsAnError) {
  WeightMemory memory;
  const auto all = memory.allocate(std::size_t{1} << 60);
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.error().code, ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace kakeya::model
