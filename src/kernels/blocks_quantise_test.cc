// The errors to compare with are those of ggml_quantize_chunk without an importance matrix
// (tools/golden/make_ggml_blocks.py).
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "kernels/blocks.h"

namespace kakeya::kernels {
namespace {

constexpr WeightType kTypes[] = {WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4K, WeightType::kQ5K,
                                 WeightType::kQ6K};

std::string golden(const std::string& name) {
  auto text = base::read_file(std::string(KAKEYA_SOURCE_DIR) + "/tests/golden/blocks/" + name, 1 << 24);
  if (!text.ok()) ADD_FAILURE() << text.error().message;
  return text.ok() ? *text : std::string();
}

std::vector<float> there_and_back(WeightType type, const std::vector<float>& x) {
  std::vector<std::byte> blocks(row_bytes(type, x.size()));
  quantise_row(type, x.data(), x.size(), blocks.data());
  std::vector<float> out(x.size());
  dequantise_row(type, blocks.data(), out.size(), out.data());
  return out;
}

double mean_squared_error(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return sum / static_cast<double>(n);
}

TEST(QuantiseRow, ErrsNoMoreThanGgml) {
  const auto errors = nlohmann::json::parse(golden("errors.json"));
  const std::size_t n = errors["row"];
  const std::string bytes = golden("rows.f32");
  std::vector<float> rows(bytes.size() / sizeof(float));
  std::memcpy(rows.data(), bytes.data(), bytes.size());
  ASSERT_EQ(rows.size(), n * errors["kinds"].size());
  for (const WeightType type : kTypes) {
    const auto& expected = errors["mse"][to_string(type)];
    ASSERT_EQ(expected.size(), errors["kinds"].size());
    for (std::size_t r = 0; r < expected.size(); ++r) {
      const std::vector<float> row(rows.begin() + r * n, rows.begin() + (r + 1) * n);
      const auto back = there_and_back(type, row);
      EXPECT_LE(mean_squared_error(row.data(), back.data(), n), 1.02 * expected[r].get<double>())
          << to_string(type) << ", row " << r << " (" << errors["kinds"][r] << ")";
    }
  }
}

#if HWY_ARCH_X86  // Arm builds have one variant and no choice
TEST(QuantiseRow, WritesTheSameBlocksInEveryCpuVariant) {
  const std::string bytes = golden("rows.f32");
  std::vector<float> rows(bytes.size() / sizeof(float));
  std::memcpy(rows.data(), bytes.data(), bytes.size());
  const auto supported = hwy::SupportedTargets();
  for (const WeightType type : kTypes) {
    std::vector<std::byte> first, other(row_bytes(type, rows.size()));
    for (auto left = supported; left != 0; left &= left - 1) {
      hwy::SetSupportedTargetsForTest(left & -left);
      hwy::GetChosenTarget().DeInit();
      quantise_row(type, rows.data(), rows.size(), other.data());
      if (first.empty()) first = other;
      EXPECT_EQ(first == other, true) << to_string(type) << ", " << hwy::TargetName(left & -left);
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}
#endif

TEST(QuantiseRow, KeepsItsOwnValuesWhereTheScaleIsExact) {
  const auto bytes = golden("rows.f32");
  std::vector<float> rows(bytes.size() / sizeof(float));
  std::memcpy(rows.data(), bytes.data(), bytes.size());
  for (const WeightType type : {WeightType::kQ8_0, WeightType::kQ4_0}) {
    const auto once = there_and_back(type, rows);
    EXPECT_EQ(there_and_back(type, once), once) << to_string(type);
  }
}

TEST(QuantiseRow, LosesLittleOnItsOwnValues) {
  std::vector<float> x(2048);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i * i % 977)) * 0.04f;
  for (const WeightType type : kTypes) {
    const auto once = there_and_back(type, x);
    const auto twice = there_and_back(type, once);
    EXPECT_LE(mean_squared_error(twice.data(), once.data(), x.size()),
              0.5 * mean_squared_error(once.data(), x.data(), x.size()))
        << to_string(type);
  }
}

TEST(QuantiseRow, ZerosStayZeros) {
  for (const WeightType type : kTypes) {
    for (const float zero : {0.0f, -0.0f, 1e-40f, -1e-30f}) {
      for (const float value : there_and_back(type, std::vector<float>(256, zero))) {
        EXPECT_EQ(value, 0.0f) << to_string(type) << " of " << zero;
      }
    }
  }
}

TEST(QuantiseRow, ConstantsKeepTheirValue) {
  for (const WeightType type : kTypes) {
    for (const float constant : {1.0f, -1.0f, 0.75f, -250.0f}) {
      for (const float value : there_and_back(type, std::vector<float>(512, constant))) {
        EXPECT_NEAR(value, constant, std::abs(constant) * 1e-3f) << to_string(type);
      }
    }
  }
}

TEST(QuantiseRow, HugeValuesSaturateAndStayFinite) {
  constexpr float kMax = std::numeric_limits<float>::max();
  for (const WeightType type : kTypes) {
    for (const float huge : {1e7f, 1e20f, kMax}) {
      std::vector<float> x(256);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 ? huge : i % 3 == 1 ? -huge : 1.0f;
      const auto out = there_and_back(type, x);
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_TRUE(std::isfinite(out[i])) << to_string(type) << " of " << huge;
        const float outward = i % 3 == 0 ? out[i] : -out[i];
        EXPECT_TRUE(i % 3 == 2 || outward > 4e5f) << to_string(type) << ": " << out[i];
      }
    }
  }
}

}  // namespace
}  // namespace kakeya::kernels
