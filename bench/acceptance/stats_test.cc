#include "acceptance/stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::json;

// Written by tools/golden/make_bootstrap_cases.py with numpy.
const Json& golden() {
  static const Json cases = [] {
    std::ifstream file(std::string(KAKEYA_SOURCE_DIR) + "/tests/golden/bench/bootstrap_cases.json");
    return Json::parse(file);
  }();
  return cases;
}

std::vector<Ratio> ratios(const Json& counts, const Json& drafted) {
  std::vector<Ratio> out;
  for (std::size_t i = 0; i < counts.size(); ++i)
    out.push_back({counts[i].get<double>(), drafted[i].get<double>()});
  return out;
}

void expect_near(const Interval& found, const Json& expected) {
  const double tolerance = expected.at("tolerance").get<double>();
  EXPECT_NEAR(found.estimate, expected.at("estimate").get<double>(), 1e-12);
  EXPECT_NEAR(found.low, expected.at("low").get<double>(), tolerance);
  EXPECT_NEAR(found.high, expected.at("high").get<double>(), tolerance);
}

TEST(Quantile, AgreesWithNumpy) {
  for (const Json& entry : golden().at("quantiles")) {
    const auto values = entry.at("values").get<std::vector<double>>();
    EXPECT_NEAR(mean(values), entry.at("mean").get<double>(), 1e-12);
    for (const Json& at : entry.at("at")) {
      EXPECT_NEAR(quantile(values, at.at("q").get<double>()), at.at("value").get<double>(), 1e-12);
    }
  }
}

TEST(Quantile, OfNothingIsNotANumber) {
  EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
  EXPECT_TRUE(std::isnan(mean({})));
}

TEST(Bootstrap, AgreesWithNumpyOnRatesDifferencesAndMeans) {
  for (const Json& entry : golden().at("cases")) {
    const std::vector<Ratio> base = ratios(entry.at("base"), entry.at("drafted"));
    const std::vector<Ratio> channel = ratios(entry.at("channel"), entry.at("drafted"));
    expect_near(bootstrap_ratio(channel, {}), entry.at("rate"));
    expect_near(bootstrap_ratio_difference(base, channel, {}), entry.at("difference"));
    std::vector<double> lengths;
    for (const Ratio& r : channel) lengths.push_back(1 + 7 * r.numerator / r.denominator);
    expect_near(bootstrap_mean(lengths, {}), entry.at("mean_length"));
  }
}

TEST(Bootstrap, OfConstantDataHasNoWidth) {
  const std::vector<double> same(16, 3.5);
  const Interval i = bootstrap_mean(same, {});
  EXPECT_EQ(i.low, 3.5);
  EXPECT_EQ(i.high, 3.5);
}

TEST(Bootstrap, RepeatsWithItsSeedAndOnlyThen) {
  const std::vector<double> values = {1, 2, 3, 5, 8, 13, 21, 34};
  const Interval a = bootstrap_mean(values, {.resamples = 500, .seed = 7});
  const Interval b = bootstrap_mean(values, {.resamples = 500, .seed = 7});
  const Interval c = bootstrap_mean(values, {.resamples = 500, .seed = 8});
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_TRUE(a.low != c.low || a.high != c.high);
}

TEST(Bootstrap, PairingRemovesWhatPromptsHaveInCommon) {
  // Prompts differ by up to 80 points, the channel always loses 3.
  std::vector<Ratio> base, channel, shuffled;
  for (int i = 0; i < 40; ++i) {
    base.push_back({10.0 + 2 * i, 100});
    channel.push_back({7.0 + 2 * i, 100});
  }
  for (int i = 0; i < 40; ++i) shuffled.push_back(channel[static_cast<std::size_t>((i * 17 + 5) % 40)]);
  const Interval paired = bootstrap_ratio_difference(base, channel, {});
  const Interval unpaired = bootstrap_ratio_difference(base, shuffled, {});
  EXPECT_NEAR(paired.estimate, 0.03, 1e-12);
  EXPECT_NEAR(unpaired.estimate, 0.03, 1e-12);
  EXPECT_LT(paired.high - paired.low, 1e-9);
  EXPECT_GT(unpaired.high - unpaired.low, 0.1);
}

TEST(Bootstrap, LeavesOutResamplesWithoutADenominator) {
  const std::vector<Ratio> prompts = {{0, 0},
                                      {1, 2}};  // a quarter of the resamples draws the first one twice
  const Interval i = bootstrap_ratio(prompts, {});
  EXPECT_DOUBLE_EQ(i.low, 0.5);
  EXPECT_DOUBLE_EQ(i.high, 0.5);
}

}  // namespace
}  // namespace kakeya::acceptance
