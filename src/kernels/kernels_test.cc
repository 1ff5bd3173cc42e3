#include "kernels/kernels.h"

#include <gtest/gtest.h>

#include <random>

namespace kakeya::kernels {
namespace {

TEST(Variants, ScalarComesFirstAndEveryVariantIsFoundByItsName) {
  ASSERT_FALSE(available().empty());
  EXPECT_STREQ(available()[0]->name, "scalar");
  for (const Table* table : available()) EXPECT_EQ(find(table->name), table);
  EXPECT_EQ(find("no such cpu"), nullptr);
  EXPECT_EQ(&best(), available().back());
}

}  // namespace
}  // namespace kakeya::kernels
