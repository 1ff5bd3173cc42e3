// The codec part of the SDK.
#include <gtest/gtest.h>
#include <kakeya/codec.h>

#include <cmath>
#include <limits>

namespace kakeya {
namespace {

TEST(CodecApi, EveryExampleOfThePatternsRoundTripsWithItsBits) {
  for (const ChannelPattern& pattern : channel_patterns()) {
    ASSERT_FALSE(pattern.examples.empty()) << pattern.pattern;
    for (const std::string& name : pattern.examples) {
      auto codec = Codec::create(name, 128);
      ASSERT_TRUE(codec.ok()) << name;
      std::vector<float> x(3 * 128);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i * i));
      ASSERT_TRUE((*codec)->encode({x.data(), 128}).ok());
      ASSERT_TRUE((*codec)->encode({x.data() + 128, 256}).ok());
      ASSERT_EQ((*codec)->rows(), 3u);
      EXPECT_GE(8.0 * static_cast<double>((*codec)->allocated_bytes()), 3 * (*codec)->info().bits_allocated);
      const std::vector<float> y = (*codec)->decode();
      ASSERT_EQ(y.size(), x.size());
      double error = 0;
      double energy = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        error += std::pow(double{x[i]} - double{y[i]}, 2);
        energy += std::pow(double{x[i]}, 2);
      }
      EXPECT_LT(error, 0.08 * energy) << name;
    }
  }
}

TEST(CodecApi, InfoGivesTheFormulaOfThePublishedCodec) {
  const auto info = channel_info("e8-q38", 128);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->lattice, "e8");
  EXPECT_EQ(info->q_range, 38);
  EXPECT_EQ(info->bits_formula, 848);
  EXPECT_EQ(info->bits_allocated, 864);
}

TEST(CodecApi, RefusesUnknownChannelsVariantsAndHeadDims) {
  EXPECT_EQ(channel_info("e8-q0", 128).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(channel_info("e8-q38", 96).error().code, ErrorCode::kUnsupported);
  const auto codec = Codec::create("e8-q38", 128, "abacus");
  ASSERT_FALSE(codec.ok());
  EXPECT_NE(codec.error().message.find("scalar"), std::string::npos) << codec.error().message;
}

TEST(CodecApi, ARefusedBatchLeavesTheCodecAsItWas) {
  auto codec = Codec::create("e8-q10", 64);
  ASSERT_TRUE(codec.ok());
  std::vector<float> x(128, 1.0f);
  ASSERT_TRUE((*codec)->encode(x).ok());
  x[100] = std::numeric_limits<float>::quiet_NaN();
  const Status status = (*codec)->encode(x);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kNumeric);
  EXPECT_NE(status.error().message.find("row 1"), std::string::npos) << status.error().message;
  EXPECT_EQ((*codec)->rows(), 2u);
  EXPECT_EQ((*codec)->encode({x.data(), 65}).error().code, ErrorCode::kInvalidArgument);
}

TEST(CodecApi, NearestPointsFollowTheNamedLattice) {
  const std::vector<float> in = {0.6f, 0.1f, -0.1f, 0.2f, 0.5f, 0.5f, 0.5f, 0.5f};
  const auto d4 = nearest_points("d4", in);
  ASSERT_TRUE(d4.ok());
  // First block: rounds to (1,0,0,0), odd, and 0.6 has the largest error. Second: halves round to even.
  EXPECT_EQ(*d4, std::vector<float>({0, 0, 0, 0, 0, 0, 0, 0}));
  const auto e8 = nearest_points("e8", std::vector<float>(8, 0.5f));
  ASSERT_TRUE(e8.ok());
  EXPECT_EQ(*e8, std::vector<float>(8, 0.5f));
  EXPECT_FALSE(nearest_points("e7", in).ok());
  EXPECT_FALSE(nearest_points("e8", {in.data(), 7}).ok());
}

TEST(CodecApi, SpeedIsMeasuredForARealRun) {
  const auto speed = measure_codec("e8-q10", 128, 64, 1);
  ASSERT_TRUE(speed.ok());
  for (double rate : {speed->encode_per_s, speed->decode_per_s, speed->attend_per_s, speed->memcpy_per_s,
                      speed->bf16_attend_per_s}) {
    EXPECT_GT(rate, 0);
  }
  EXPECT_FALSE(measure_codec("e8-q10", 128, 0, 1).ok());
}

}  // namespace
}  // namespace kakeya
