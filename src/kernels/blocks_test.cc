// Golden truth: ggml's own library (tools/golden/make_ggml_blocks.py).
#include "kernels/blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "base/file.h"
#include "kernels/block_scales.h"

namespace kakeya::kernels {
namespace {

constexpr WeightType kTypes[] = {WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4K, WeightType::kQ5K,
                                 WeightType::kQ6K};

std::string golden(const std::string& name) {
  auto text = base::read_file(std::string(KAKEYA_SOURCE_DIR) + "/tests/golden/blocks/" + name, 1 << 24);
  if (!text.ok()) ADD_FAILURE() << text.error().message;
  return text.ok() ? *text : std::string();
}

std::vector<float> golden_floats(const std::string& name) {
  const std::string bytes = golden(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

TEST(Blocks, UnpackToTheSameBitsAsInGgml) {
  for (const WeightType type : kTypes) {
    SCOPED_TRACE(to_string(type));
    const std::string blocks = golden(std::string(to_string(type)) + ".blocks");
    const auto expected = golden_floats(std::string(to_string(type)) + ".f32");
    ASSERT_GE(expected.size(), 512u);
    ASSERT_EQ(row_bytes(type, expected.size()), blocks.size());
    std::vector<float> out(expected.size());
    dequantise_row(type, blocks.data(), out.size(), out.data());
    for (std::size_t i = 0; i < out.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), std::bit_cast<std::uint32_t>(expected[i]))
          << "value " << i << ": " << out[i] << ", expected " << expected[i];
    }
  }
}

TEST(Blocks, NeedNotBeAligned) {
  for (const WeightType type : kTypes) {
    SCOPED_TRACE(to_string(type));
    const std::string blocks = golden(std::string(to_string(type)) + ".blocks");
    const auto expected = golden_floats(std::string(to_string(type)) + ".f32");
    const std::string shifted = "x" + blocks;
    std::vector<float> out(expected.size());
    dequantise_row(type, shifted.data() + 1, out.size(), out.data());
    EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0);
  }
}

TEST(Blocks, PlainTypesAreBlocksOfOne) {
  EXPECT_EQ(row_bytes(WeightType::kF32, 5), 20u);
  EXPECT_EQ(row_bytes(WeightType::kBf16, 5), 10u);
  const std::uint16_t half[3] = {0x3c00, 0xc000, 0x0001};
  const std::uint16_t brain[3] = {0x3f80, 0xc000, 0x0001};
  const float full[3] = {1.5f, -0.0f, 1e-40f};
  float out[3];
  dequantise_row(WeightType::kF16, half, 3, out);
  EXPECT_THAT(out, testing::ElementsAre(1.0f, -2.0f, 0x1p-24f));
  dequantise_row(WeightType::kBf16, brain, 3, out);
  EXPECT_THAT(out, testing::ElementsAre(1.0f, -2.0f, 0x1p-133f));
  dequantise_row(WeightType::kF32, full, 3, out);
  EXPECT_EQ(std::memcmp(out, full, sizeof full), 0);
}

TEST(BlockScales, AreReadBackAsTheyWereSet) {
  std::uint8_t packed[12] = {};
  for (std::size_t s = 0; s < 8; ++s) {
    set_sub_scale(packed, s, {static_cast<std::uint8_t>(63 - 7 * s), static_cast<std::uint8_t>(5 + 8 * s)});
  }
  for (std::size_t s = 0; s < 8; ++s) {
    EXPECT_EQ(sub_scale(packed, s).scale, 63 - 7 * s) << s;
    EXPECT_EQ(sub_scale(packed, s).min, (5 + 8 * s) & 63) << s;
  }
}

}  // namespace
}  // namespace kakeya::kernels
