// The loops run on this CPU; how fast is nobody's promise.
#include "kernels/peaks.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace kakeya::kernels {
namespace {

TEST(Int8Peak, IsThereForEveryVariantThatHasItsOwnProducts) {
  for (const Table* table : available()) {
    const std::string name = table->name;
    const Int8Peak* peak = int8_peak(name);
    ASSERT_EQ(peak == nullptr, name == "scalar" || name == "sse4") << name;
    if (peak == nullptr) continue;
    EXPECT_FALSE(std::string(peak->instruction).empty());
    EXPECT_GT(peak->ops_per_round, 0u);
    peak->run(1000);
    peak->run(0);
  }
  EXPECT_EQ(int8_peak("no such variant"), nullptr);
}

TEST(ReadBytes, TakesAnyWholeNumberOfKib) {
  for (const std::size_t kib : {0, 1, 3, 64}) {
    const std::vector<std::byte> bytes(kib * 1024, std::byte{1});
    for (const std::size_t ahead : {0, 64, 2048}) read_bytes(bytes, ahead);
  }
}

}  // namespace
}  // namespace kakeya::kernels
