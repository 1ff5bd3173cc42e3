// The chain against transformers' processors, the generator against its authors' known answers.
#include "decode/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "decode/test_support.h"

namespace kakeya::decode {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Philox, GivesTheKnownAnswersOfItsAuthors) {  // Random123's kat_vectors, philox4x32 10 rounds
  EXPECT_THAT(philox({0, 0, 0, 0}, {0, 0}), ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
              ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  EXPECT_THAT(philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
              ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

TEST(Uniform, IsEvenOverPositionsAndDiffersBySeedPositionAndStream) {
  constexpr int kNumbers = 100000, kCells = 100;
  std::vector<double> counts(kCells, 0), expected(kCells, double{kNumbers} / kCells);
  std::set<double> seen;
  for (int i = 0; i < kNumbers; ++i) {
    const double u = uniform(7, static_cast<std::uint64_t>(i), 0);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    counts[static_cast<std::size_t>(u * kCells)] += 1;
    seen.insert(u);
  }
  EXPECT_GT(test::chi_square_p(counts, expected), 0.001);
  EXPECT_EQ(seen.size(), kNumbers);
  EXPECT_NE(uniform(7, 3, 0), uniform(8, 3, 0));
  EXPECT_NE(uniform(7, 3, 0), uniform(7, 3, 1));
  EXPECT_EQ(uniform(7, 3, 1), uniform(7, 3, 1));
}

TEST(ChiSquareTail, AgreesWithPrintedTables) {  // the 5 % and 0.1 % columns of any statistics book
  EXPECT_NEAR(test::chi_square_tail(3.841, 1), 0.05, 1e-4);
  EXPECT_NEAR(test::chi_square_tail(18.307, 10), 0.05, 1e-4);
  EXPECT_NEAR(test::chi_square_tail(29.588, 10), 0.001, 1e-5);
  EXPECT_NEAR(test::chi_square_tail(124.342, 100), 0.05, 1e-4);
  EXPECT_NEAR(test::chi_square_tail(2.0, 2), std::exp(-1.0), 1e-12);
}

TEST(Distribution, EqualsTheProcessorsOfTransformers) {
  std::ifstream file(KAKEYA_SOURCE_DIR "/tests/golden/decode/sampler.json");
  ASSERT_TRUE(file.is_open());
  const auto golden = nlohmann::json::parse(file);
  for (const auto& entry : golden["cases"]) {
    const auto logits = entry["logits"].get<std::vector<float>>();
    for (const auto& chain : entry["chains"]) {
      SamplingOptions options;
      options.temperature = chain["temperature"];
      options.top_k = chain.value("top_k", 0);
      options.top_p = chain.value("top_p", 1.0f);
      options.min_p = chain.value("min_p", 0.0f);
      std::vector<float> probs(logits.size());
      distribution(logits, options, probs);
      for (std::size_t i = 0; i < probs.size(); ++i) {
        const float expected = chain["probs"][i];
        EXPECT_NEAR(probs[i], expected, 2e-6) << chain.dump().substr(0, 80) << " id " << i;
        EXPECT_EQ(probs[i] == 0, expected == 0) << chain.dump().substr(0, 80) << " id " << i;
      }
    }
  }
}

TEST(Distribution, TopKKeepsTheLowerIdsOfEqualLogits) {
  const std::vector<float> logits = {1, 2, 2, 2, 0};
  SamplingOptions options;
  options.temperature = 1;
  options.top_k = 2;
  std::vector<float> probs(5);
  distribution(logits, options, probs);
  EXPECT_THAT(probs, ElementsAre(0.0f, 0.5f, 0.5f, 0.0f, 0.0f));
}

TEST(Distribution, SurvivesATemperatureNearZero) {
  const std::vector<float> logits = {-100, 80, 79.9f};
  SamplingOptions options;
  options.temperature = 1e-6f;
  std::vector<float> probs(3);
  distribution(logits, options, probs);
  EXPECT_THAT(probs, ElementsAre(0.0f, 1.0f, 0.0f));
}

TEST(Argmax, TakesTheLowestIdOnATie) {
  EXPECT_EQ(argmax(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(argmax(std::vector<float>{-5}), 0);
}

TEST(Pick, NeverReturnsAnImpossibleToken) {
  const std::vector<float> probs = {0, 0.25f, 0, 0.75f, 0};
  EXPECT_EQ(pick(probs, 0.0), 1);
  EXPECT_EQ(pick(probs, 0.2499), 1);
  EXPECT_EQ(pick(probs, 0.25), 3);
  EXPECT_EQ(pick(probs, 0x1.fffffffffffffp-1), 3);
}

TEST(Sample, IsArgmaxAtTemperatureZeroAndAFunctionOfSeedAndPositionOtherwise) {
  const std::vector<float> logits = {0, 0.1f, 0.2f, 0.3f};
  std::vector<float> scratch;
  EXPECT_EQ(sample(logits, {}, 5, scratch), 3);
  SamplingOptions options;
  options.temperature = 1;
  std::set<Token> seen;
  for (std::uint64_t position = 0; position < 50; ++position) {
    const Token first = sample(logits, options, position, scratch);
    EXPECT_EQ(sample(logits, options, position, scratch), first);
    seen.insert(first);
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST(CheckSampling, NamesTheOptionAndItsRange) {
  const auto refused = [](auto change, const char* name) {
    SamplingOptions options;
    change(options);
    const Status status = check_sampling(options);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(status.error().message, HasSubstr(name));
  };
  refused([](auto& o) { o.temperature = -0.5f; }, "temperature");
  refused([](auto& o) { o.temperature = NAN; }, "temperature");
  refused([](auto& o) { o.temperature = INFINITY; }, "temperature");
  refused([](auto& o) { o.top_k = -1; }, "top_k");
  refused([](auto& o) { o.top_p = 0; }, "top_p");
  refused([](auto& o) { o.top_p = 1.5f; }, "top_p");
  refused([](auto& o) { o.min_p = NAN; }, "min_p");
  EXPECT_TRUE(check_sampling({}).ok());
}

}  // namespace
}  // namespace kakeya::decode
