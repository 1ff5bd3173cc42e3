#include "model/rope.h"

#include "model/test_support.h"

namespace kakeya::model {
namespace {

void expect_matches_transformers(const Rope& rope, const std::string& name) {
  const testing::Golden golden(testing::golden_dir("rope.safetensors"));
  const testing::Matrix freq = golden.floats(name + ".inv_freq");
  ASSERT_EQ(rope.half(), freq.cols);
  for (std::size_t i = 0; i < freq.cols; ++i) {
    EXPECT_NEAR(rope.inv_freq()[i], freq.values[i], 2e-7f * freq.values[i]) << "frequency " << i;
  }
  const auto positions = golden.ints("positions");
  const testing::Matrix want_cos = golden.floats(name + ".cos"), want_sin = golden.floats(name + ".sin");
  std::vector<float> cos(rope.half()), sin(rope.half());
  for (std::size_t p = 0; p < positions.size(); ++p) {
    rope.angles(static_cast<std::size_t>(positions[p]), cos, sin);
    // A frequency that rounds one step apart turns by that much times the position.
    const float tolerance = 1e-6f + 1.2e-7f * static_cast<float>(positions[p]);
    EXPECT_LE(testing::max_difference(cos, want_cos.row(p)), tolerance) << "position " << positions[p];
    EXPECT_LE(testing::max_difference(sin, want_sin.row(p)), tolerance) << "position " << positions[p];
  }
}

TEST(Rope, AgreesWithTransformersForQwen3) { expect_matches_transformers(Rope(128, 1000000.0, {}), "qwen3"); }

TEST(Rope, AgreesWithTransformersForLlama3Scaling) {
  const formats::RopeScaling scaling{.llama3 = true,
                                     .factor = 8,
                                     .low_freq_factor = 1,
                                     .high_freq_factor = 4,
                                     .original_max_position = 8192};
  expect_matches_transformers(Rope(128, 500000.0, scaling), "llama31");
}

}  // namespace
}  // namespace kakeya::model
