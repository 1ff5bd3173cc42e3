// The registry and every channel in it: names, sizes, exactness across CPU variants, distortion, hostile
// rows.
#include "kv/channel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "base/file.h"
#include "base/half.h"
#include "kv/test_rows.h"
#include "kv/turbo_levels.h"

namespace kakeya::kv {
namespace {

const kernels::Table& best() { return kernels::best(); }

std::unique_ptr<RowCodec> codec_of(std::string_view name, std::size_t dim) {
  auto channel = parse_channel(name);
  EXPECT_TRUE(channel.ok()) << name;
  auto codec = make_codec(*channel, dim);
  EXPECT_TRUE(codec.ok()) << codec.error().message;
  return std::move(*codec);
}

class EveryCodec : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Registry, EveryCodec, testing::ValuesIn(all_channels()), test_name);

TEST(Registry, HoldsEveryChannelOfTheDesign) {
  for (const char* name :
       {"bf16", "e8-q38", "e8-q10", "e8-q4", "e8-q2", "e8-q255", "d4-q38", "q8_0", "q4_0", "tq4", "tq3"}) {
    EXPECT_TRUE(parse_channel(name).ok()) << name;
  }
}

TEST(Registry, RefusesUnknownNamesAndListsTheKnownPatterns) {
  for (const char* name : {"", "e9-q3", "e8", "e8-q", "e8-q1", "e8-q256", "e8-q038", "e8-q38 ", "E8-q38",
                           "bf16x", "q8_1", "tq5", "e8-q99999999999999999999"}) {
    const auto channel = parse_channel(name);
    ASSERT_FALSE(channel.ok()) << name;
    EXPECT_EQ(channel.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(channel.error().message.find('"' + std::string(name) + '"'), std::string::npos);
    for (const ChannelFamily& family : channel_families()) {
      EXPECT_NE(channel.error().message.find(family.pattern), std::string::npos) << family.pattern;
    }
  }
}

TEST(Registry, EveryExampleBelongsToItsFamilyAlone) {
  for (const ChannelFamily& family : channel_families()) {
    ASSERT_FALSE(family.examples.empty()) << family.pattern;
    for (const std::string& name : family.examples) {
      int owners = 0, q = 0;
      for (const ChannelFamily& other : channel_families()) owners += other.matches(name, &q) ? 1 : 0;
      EXPECT_EQ(owners, 1) << name;
      EXPECT_STREQ(parse_channel(name)->family->pattern, family.pattern);
    }
  }
}

TEST(Registry, RefusesAnImpossibleHeadDimByChannelAndNumber) {
  for (const char* name : {"e8-q38", "d4-q10", "q8_0", "q4_0", "tq4", "tq3"}) {
    for (const std::size_t dim : {0, 1, 4, 16, 80, 96, 100, 192, 4096}) {
      const auto codec = make_codec(*parse_channel(name), dim);
      ASSERT_FALSE(codec.ok()) << name << " " << dim;
      EXPECT_EQ(codec.error().code, ErrorCode::kUnsupported);
      EXPECT_NE(codec.error().message.find(std::to_string(dim)), std::string::npos) << codec.error().message;
    }
  }
  EXPECT_TRUE(make_codec(*parse_channel("bf16"), 80).ok());
}

TEST(Registry, RowsTakeTheBitsOfTheDesign) {
  const std::map<std::string, double> exact = {{"bf16", 2048}, {"q8_0", 1088}, {"q4_0", 576},  {"tq4", 528},
                                               {"tq3", 400},   {"e8-q7", 544}, {"e8-q31", 800}};
  for (const auto& [name, bits] : exact) EXPECT_EQ(8.0 * codec_of(name, 128)->row_bytes(), bits) << name;
  const std::map<std::string, double> at_most = {
      {"e8-q38", 864}, {"e8-q10", 608}, {"e8-q4", 480}, {"d4-q38", 864}};
  for (const auto& [name, bits] : at_most) EXPECT_LE(8.0 * codec_of(name, 128)->row_bytes(), bits) << name;
}

TEST_P(EveryCodec, GivesTheSameBytesAndTilesUnderEveryCpuVariant) {
  for (const std::size_t dim : {64, 128, 256}) {
    const auto codec = codec_of(GetParam(), dim);
    for (unsigned seed = 0; seed < 20; ++seed) {
      const std::vector<float> x = random_floats(dim, seed, seed % 2 == 0 ? 1.0f : 100.0f);
      std::vector<std::byte> expected(codec->row_bytes()), row(codec->row_bytes());
      std::vector<float> expected_tile(dim), tile(dim);
      float expected_scale = 0, scale = 0;
      SideRows side;
      ASSERT_TRUE(codec->encode(*kernels::find("scalar"), x, expected.data(), side).ok());
      codec->unpack(*kernels::find("scalar"), expected.data(), 1, side, {expected_tile.data(), 1, dim},
                    &expected_scale);
      for (const kernels::Table* ops : kernels::available()) {
        SideRows own_side;
        ASSERT_TRUE(codec->encode(*ops, x, row.data(), own_side).ok());
        EXPECT_EQ(row, expected) << ops->name;
        codec->unpack(*ops, row.data(), 1, own_side, {tile.data(), 1, dim}, &scale);
        EXPECT_EQ(tile, expected_tile) << ops->name;
        EXPECT_EQ(scale, expected_scale) << ops->name;
      }
    }
  }
}

TEST_P(EveryCodec, ATileRowTimesItsScaleRotatedBackIsTheDecodedRow) {
  for (const std::size_t dim : {64, 128, 256, 512}) {
    const auto codec = codec_of(GetParam(), dim);
    const std::size_t rows = 7;
    std::vector<std::byte> packed(rows * codec->row_bytes());
    SideRows side;
    for (unsigned r = 0; r < rows; ++r) {
      const std::vector<float> x = random_floats(dim, r, 3.0f);
      ASSERT_TRUE(codec->encode(best(), x, packed.data() + r * codec->row_bytes(), side).ok());
    }
    std::vector<float> tile(rows * dim), scales(rows), decoded(dim);
    codec->unpack(best(), packed.data(), rows, side, {tile.data(), rows, dim}, scales.data());
    for (std::size_t r = 0; r < rows; ++r) {
      codec->decode(best(), packed.data() + r * codec->row_bytes(), side, decoded);
      float* row = tile.data() + r * dim;
      if (codec->rotated()) best().hadamard(row, dim);
      for (std::size_t d = 0; d < dim; ++d) EXPECT_NEAR(row[d] * scales[r], decoded[d], 2e-5f) << dim;
    }
  }
}

TEST_P(EveryCodec, KeepsAZeroRowAtZero) {
  const auto codec = codec_of(GetParam(), 128);
  const std::vector<float> zero(128);
  std::vector<float> out(128, 1.0f);
  std::vector<std::byte> row(codec->row_bytes());
  SideRows side;
  ASSERT_TRUE(codec->encode(best(), zero, row.data(), side).ok());
  codec->decode(best(), row.data(), side, out);
  for (const float x : out) EXPECT_EQ(x, 0.0f);
}

TEST_P(EveryCodec, RefusesNanAndInfinityAtEveryPlace) {
  const auto codec = codec_of(GetParam(), 64);
  std::vector<std::byte> row(codec->row_bytes());
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (std::size_t at = 0; at < 64; ++at) {
      std::vector<float> x = random_floats(64, 3);
      x[at] = bad;
      SideRows side;
      const Status status = codec->encode(best(), x, row.data(), side);
      ASSERT_FALSE(status.ok()) << at;
      EXPECT_EQ(status.error().code, ErrorCode::kNumeric);
      EXPECT_TRUE(side.empty());
    }
  }
}

TEST_P(EveryCodec, KeepsTheDirectionOfHugeRowsAndStaysFinite) {
  for (const float scale : {1e5f, 1e10f, 1e25f, 5e37f}) {
    const auto codec = codec_of(GetParam(), 128);
    const std::vector<float> x = random_floats(128, 4, scale);
    std::vector<float> out(128);
    std::vector<std::byte> row(codec->row_bytes());
    SideRows side;
    ASSERT_TRUE(codec->encode(best(), x, row.data(), side).ok()) << scale;
    codec->decode(best(), row.data(), side, out);
    double dot = 0, xx = 0, yy = 0;
    for (std::size_t i = 0; i < 128; ++i) {
      ASSERT_TRUE(std::isfinite(out[i])) << scale;
      dot += double{x[i]} * out[i];
      xx += double{x[i]} * x[i];
      yy += double{out[i]} * out[i];
    }
    EXPECT_GT(dot / std::sqrt(xx * yy), 0.9) << scale;
    EXPECT_GT(std::sqrt(yy), 0.9 * std::min(std::sqrt(xx), 65504.0)) << scale;
  }
}

// Mean squared error over mean square of 1000 Gaussian rows, D = 128. tq: the distortion of Gaussian
// Lloyd-Max quantisers (Max 1960: 0.03454 and 0.009497), slightly below it on the sphere. q8_0, q4_0: the
// step is the block's range over 254 or about 16 and the error step^2 / 12.
TEST(Distortion, IsPinnedPerChannel) {
  const std::map<std::string, std::pair<double, double>> bounds = {{"bf16", {1e-6, 4e-6}},
                                                                   {"q8_0", {1.5e-5, 3.5e-5}},
                                                                   {"q4_0", {5e-3, 8e-3}},
                                                                   {"tq4", {0.0090, 0.0096}},
                                                                   {"tq3", {0.0330, 0.0347}}};
  for (const auto& [name, bound] : bounds) {
    const auto codec = codec_of(name, 128);
    std::vector<std::byte> row(codec->row_bytes());
    std::vector<float> out(128);
    SideRows side;
    double error = 0, square = 0;
    for (unsigned r = 0; r < 1000; ++r) {
      const std::vector<float> x = random_floats(128, 100 + r);
      ASSERT_TRUE(codec->encode(best(), x, row.data(), side).ok());
      codec->decode(best(), row.data(), side, out);
      for (std::size_t i = 0; i < 128; ++i) {
        error += (double{x[i]} - out[i]) * (double{x[i]} - out[i]);
        square += double{x[i]} * x[i];
      }
    }
    EXPECT_GE(error / square, bound.first) << name;
    EXPECT_LE(error / square, bound.second) << name;
  }
}

std::string golden(const std::string& name) {
  auto text = base::read_file(std::string(KAKEYA_SOURCE_DIR) + "/tests/golden/kv/" + name, 1 << 20);
  EXPECT_TRUE(text.ok()) << name;
  return text.ok() ? *text : "";
}

// Golden blocks are ggml's: fp16 scale, then codes; q4_0 holds value i in the low and i + 16 in the high
// half.
TEST(BlockChannels, GiveTheScalesAndCodesOfGgml) {
  constexpr std::size_t kDim = 64, kBlocks = 2;
  const std::string rows = golden("ggml_rows_d64.f32");
  ASSERT_FALSE(rows.empty());
  for (const bool eight : {true, false}) {
    const std::string expected = golden(eight ? "ggml_q8_0_d64.u8" : "ggml_q4_0_d64.u8");
    const std::size_t block_bytes = eight ? 34 : 18;
    const auto codec = codec_of(eight ? "q8_0" : "q4_0", kDim);
    const std::size_t count = rows.size() / (4 * kDim);
    ASSERT_EQ(expected.size(), count * kBlocks * block_bytes);
    for (std::size_t r = 0; r < count; ++r) {
      std::vector<float> x(kDim), tile(kDim);
      std::memcpy(x.data(), rows.data() + r * 4 * kDim, 4 * kDim);
      std::vector<std::byte> packed(codec->row_bytes());
      SideRows side;
      float scale = 0;
      ASSERT_TRUE(codec->encode(best(), x, packed.data(), side).ok());
      codec->unpack(best(), packed.data(), 1, side, {tile.data(), 1, kDim}, &scale);
      for (std::size_t i = 0; i < kDim; ++i) {
        const char* block = expected.data() + (r * kBlocks + i / 32) * block_bytes;
        std::uint16_t bits = 0;
        std::memcpy(&bits, block, 2);
        const std::size_t at = i % 32;
        const auto byte = static_cast<unsigned char>(block[2 + (eight ? at : at % 16)]);
        const int code = eight ? static_cast<signed char>(byte) : at < 16 ? (byte & 15) - 8 : (byte >> 4) - 8;
        EXPECT_EQ(tile[i], static_cast<float>(code) * base::f16_to_f32(bits)) << r << " " << i;
      }
    }
  }
}

// Each level is the mean of its cell under (1 - t^2)^((D-3)/2), integrated here by the midpoint rule.
TEST(TurboLevels, SatisfyLloydMaxConditions) {
  const auto check = [](std::size_t dim, std::span<const float> levels) {
    for (std::size_t k = 0; k < levels.size(); ++k) {
      const double low = k == 0 ? 0 : (double{levels[k - 1]} + levels[k]) / 2;
      const double high = k + 1 == levels.size() ? 1 : (double{levels[k]} + levels[k + 1]) / 2;
      double mass = 0, moment = 0;
      constexpr int kSteps = 20000;
      for (int s = 0; s < kSteps; ++s) {
        const double t = low + (high - low) * (s + 0.5) / kSteps;
        const double density = std::pow(1 - t * t, (static_cast<double>(dim) - 3) / 2);
        mass += density;
        moment += density * t;
      }
      EXPECT_NEAR(levels[k], moment / mass, 1e-6) << dim << " level " << k;
    }
  };
  for (const TurboLevels& table : kTurboLevels) {
    check(table.dim, table.levels3);
    check(table.dim, table.levels4);
  }
}

}  // namespace
}  // namespace kakeya::kv
