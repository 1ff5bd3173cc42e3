// Temperature above 0: the default rule gives the very text of plain sampling; rejection gives its
// distribution.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "decode/sampler.h"
#include "decode/test_support.h"
#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

GenerateOptions sampled(int tokens, float temperature, std::uint64_t seed) {
  GenerateOptions options = test::greedy(tokens);
  options.sampling.temperature = temperature;
  options.sampling.seed = seed;
  return options;
}

TEST(Sampling, GivesTheTextOfPlainSamplingUnderTheDefaultRule) {
  std::size_t accepted = 0, distinct = 0;
  for (const auto& pair : {test::tiny_pair(), test::random_pair("dflash-full")}) {
    const auto engine = test::open(pair, 2);
    const auto prompt = pair.prompts(1)[0];
    for (const char* channel : {"bf16", "e8-q10"}) {
      const auto session = test::session(*engine, channel);
      std::vector<Token> last;
      for (std::uint64_t seed = 0; seed < 8; ++seed) {
        GenerateOptions options = sampled(24, 0.9f, seed);
        if (seed % 2 == 1)
          options.sampling.top_k = 20, options.sampling.top_p = 0.95f, options.sampling.min_p = 0.02f;
        options.ignore_stop = true;
        const auto expected = test::take(session->generate(prompt, test::plain(options)));
        const auto out = test::take(session->generate(prompt, options));
        EXPECT_EQ(out.ids, expected.ids) << pair.name << " " << channel << " seed " << seed;
        EXPECT_EQ(test::take(session->generate(prompt, options)).ids, out.ids) << "the same seed again";
        for (const Cycle& cycle : out.cycles) accepted += cycle.accepted;
        distinct += out.ids != last;
        last = out.ids;
      }
    }
  }
  EXPECT_GT(accepted, 0u);
  EXPECT_GT(distinct, 16u) << "seeds must matter";
}

// Chances of the texts of `depth` tokens, from the target's logits one prefix at a time.
std::map<std::vector<Token>, double> exact_chances(Session& session, const std::vector<Token>& prompt,
                                                   const SamplingOptions& sampling, std::size_t depth) {
  std::map<std::vector<Token>, double> texts = {{{}, 1.0}};
  for (std::size_t i = 0; i < depth; ++i) {
    std::map<std::vector<Token>, double> longer;
    for (const auto& [text, chance] : texts) {
      std::vector<Token> ids = prompt;
      ids.insert(ids.end(), text.begin(), text.end());
      const auto logits = test::take(session.logits(ids, LogitSelection::kLast, false)).logits;
      std::vector<float> probs(logits.size());
      decode::distribution(logits, sampling, probs);
      for (std::size_t token = 0; token < probs.size(); ++token) {
        if (probs[token] <= 0) continue;
        auto next = text;
        next.push_back(static_cast<Token>(token));
        longer[next] = chance * probs[token];
      }
    }
    texts = std::move(longer);
  }
  return texts;
}

double fit(AcceptRule rule, bool use_draft, float wrong_temperature = 0) {
  constexpr int kDraws = 3000;
  constexpr std::size_t kDepth = 3;
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 1);
  const auto session = test::session(*engine, "e8-q10");
  const std::vector<Token> prompt = pair.prompts(1)[0];
  GenerateOptions options = sampled(kDepth, 1.2f, 0);
  options.sampling.top_k = 6;
  options.block_size = 4;
  options.accept_rule = rule;
  options.use_draft = use_draft;
  if (!use_draft) options.block_size = 0;
  SamplingOptions expected_sampling = options.sampling;
  if (wrong_temperature > 0) expected_sampling.temperature = wrong_temperature;
  const auto chances = exact_chances(*session, prompt, expected_sampling, kDepth);
  std::map<std::vector<Token>, double> counts;
  std::size_t accepted = 0;
  for (int i = 0; i < kDraws; ++i) {
    options.sampling.seed = static_cast<std::uint64_t>(i);
    const auto out = test::take(session->generate(prompt, options));
    counts[out.ids] += 1;
    for (const Cycle& cycle : out.cycles) accepted += cycle.accepted;
  }
  if (use_draft) {
    EXPECT_GT(accepted, kDraws / 50) << "some drafts must stand";
  }
  std::vector<double> seen, expected;
  for (const auto& [text, chance] : chances) {
    seen.push_back(counts[text]);
    expected.push_back(chance * kDraws);
    counts.erase(text);
  }
  EXPECT_TRUE(counts.empty()) << "a text that cannot occur";
  return decode::test::chi_square_p(seen, expected);
}

TEST(Sampling, KeepsTheTargetsDistributionUnderRejection) {
  EXPECT_GT(fit(AcceptRule::kRejection, true), 0.001);
}

TEST(Sampling, KeepsTheTargetsDistributionUnderTheDefaultRule) {
  EXPECT_GT(fit(AcceptRule::kTargetSample, true), 0.001);
}

TEST(Sampling, KeepsTheTargetsDistributionWithoutADraft) {
  EXPECT_GT(fit(AcceptRule::kTargetSample, false), 0.001);
}

TEST(Sampling, IsFoundOutAtAnotherTemperature) { EXPECT_LT(fit(AcceptRule::kRejection, true, 1.5f), 1e-6); }

TEST(Sampling, RefusesValuesOutOfRange) {
  const auto engine = test::open(test::random_pair("dflash-full"), 1);
  const auto session = test::session(*engine, "bf16");
  const std::vector<Token> prompt = {1, 2};
  const auto out = session->generate(prompt, sampled(4, -1.0f, 0));
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(out.error().message.find("temperature is -1"), std::string::npos) << out.error().message;
}

}  // namespace
}  // namespace kakeya::engine
