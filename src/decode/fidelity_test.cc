// Row fidelity against numbers from NumPy in double precision.
#include "decode/fidelity.h"

#include <gtest/gtest.h>

namespace kakeya::decode {
namespace {

const std::vector<float> kRow = {0.5f, -1.25f, 3.0f, 2.0f, 0.0f};
const std::vector<float> kBase = {1.0f, -0.75f, 2.5f, 2.75f, -2.0f};

TEST(CompareRows, EqualsNumPy) {
  const RowFidelity found = compare_rows(kRow, kBase, 3);
  EXPECT_NEAR(found.kl, 0.19951544805024543, 1e-12);
  EXPECT_NEAR(found.nll, 1.4147655526310854, 1e-12);
  EXPECT_NEAR(found.nll_baseline, 0.6888498628761388, 1e-12);
  EXPECT_FALSE(found.top1_agrees);
  EXPECT_NEAR(negative_log_likelihood(kRow, 3), 1.4147655526310854, 1e-12);
}

TEST(CompareRows, FindsNothingBetweenARowAndItself) {
  const RowFidelity found = compare_rows(kRow, kRow, 0);
  EXPECT_EQ(found.kl, 0.0);
  EXPECT_EQ(found.nll, found.nll_baseline);
  EXPECT_TRUE(found.top1_agrees);
}

TEST(CompareRows, SurvivesLogitsOfAnySize) {
  const std::vector<float> huge = {3e38f, -3e38f, 0};
  const RowFidelity found = compare_rows(huge, huge, 0);
  EXPECT_EQ(found.kl, 0.0);
  EXPECT_EQ(found.nll, 0.0);
}

TEST(AddPosition, KeepsSumsAndTheFirstDivergence) {
  ForcedResult result;
  add_position(compare_rows(kRow, kRow, 2), result);
  add_position(compare_rows(kRow, kBase, 3), result);
  add_position(compare_rows(kRow, kBase, 3), result);
  EXPECT_EQ(result.positions, 3u);
  EXPECT_EQ(result.top1_agree, 1u);
  EXPECT_EQ(result.first_divergence, 1);
  EXPECT_NEAR(result.kl_sum, 2 * 0.19951544805024543, 1e-12);
}

}  // namespace
}  // namespace kakeya::decode
