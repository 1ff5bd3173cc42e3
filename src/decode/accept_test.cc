// Both acceptance rules leave the target's distribution alone; two biased rules fail the same test.
#include "decode/accept.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "decode/sampler.h"
#include "decode/stop.h"
#include "decode/test_support.h"

namespace kakeya::decode {
namespace {

constexpr std::size_t kVocab = 6;
constexpr std::size_t kDepth = 3;  // tokens of one draw
constexpr int kDraws = 20000;

// A target whose next token depends on the last one, and drafts that see neither: one marginal per slot.
struct Toy {
  float target[kVocab + 1][kVocab] = {
      {0.30f, 0.05f, 0.20f, 0.25f, 0.15f, 0.05f},  // after token 0
      {0.02f, 0.48f, 0.10f, 0.10f, 0.20f, 0.10f},
      {0.10f, 0.10f, 0.10f, 0.10f, 0.10f, 0.50f},
      {0.25f, 0.25f, 0.25f, 0.25f, 0.00f, 0.00f},
      {0.01f, 0.01f, 0.01f, 0.01f, 0.01f, 0.95f},
      {0.40f, 0.10f, 0.10f, 0.10f, 0.20f, 0.10f},
      {0.35f, 0.15f, 0.20f, 0.10f, 0.15f, 0.05f},  // the first token
  };
  float draft[kDepth][kVocab] = {{0.10f, 0.30f, 0.30f, 0.10f, 0.10f, 0.10f},
                                 {0.20f, 0.10f, 0.10f, 0.10f, 0.10f, 0.40f},
                                 {0.05f, 0.05f, 0.10f, 0.20f, 0.30f, 0.30f}};
};

using Rule = std::function<Verdict(const VerifyInput&, Rows<const float> q, std::vector<float>&)>;

std::vector<float> log_row(const float* p) {
  std::vector<float> out(kVocab);
  for (std::size_t i = 0; i < kVocab; ++i) out[i] = p[i] > 0 ? std::log(p[i]) : -1e30f;
  return out;
}

// Draws kDepth tokens through draft-verify cycles, as the loop does; `drawn` = drafts are samples, else
// argmaxes.
std::vector<Token> draw(const Toy& toy, std::uint64_t seed, const Rule& rule, bool drawn) {
  std::vector<Token> text;
  std::vector<float> scratch;
  SamplingOptions sampling;
  sampling.temperature = 1;
  sampling.seed = seed;
  while (text.size() < kDepth) {
    const std::size_t left = kDepth - text.size();
    std::vector<Token> drafts;
    std::vector<float> q, logits;
    const auto add_row = [&](Token last) {
      const auto row = log_row(toy.target[last]);
      logits.insert(logits.end(), row.begin(), row.end());
    };
    add_row(text.empty() ? static_cast<Token>(kVocab) : text.back());
    for (std::size_t i = 0; i + 1 < left; ++i) {
      const float* marginal = toy.draft[i];
      const std::span<const float> row(marginal, kVocab);
      q.insert(q.end(), row.begin(), row.end());
      drafts.push_back(drawn ? pick(row, uniform(seed, text.size() + i, kDraftStream)) : argmax(row));
      add_row(drafts.back());
    }
    VerifyInput input;
    input.logits = Rows<const float>(logits.data(), drafts.size() + 1, kVocab);
    input.drafts = drafts;
    input.position = text.size();
    input.sampling = sampling;
    const Verdict verdict = rule(input, Rows<const float>(q.data(), drafts.size(), kVocab), scratch);
    text.insert(text.end(), drafts.begin(), drafts.begin() + static_cast<std::ptrdiff_t>(verdict.accepted));
    text.push_back(verdict.next);
  }
  return text;
}

// p-value of the joint distribution of kDepth tokens.
double fit(const Rule& rule, bool drawn) {
  const Toy toy;
  std::vector<double> counts(kVocab * kVocab * kVocab, 0), expected(counts.size(), 0);
  for (std::size_t a = 0; a < kVocab; ++a) {
    for (std::size_t b = 0; b < kVocab; ++b) {
      for (std::size_t c = 0; c < kVocab; ++c) {
        expected[(a * kVocab + b) * kVocab + c] =
            double{kDraws} * toy.target[kVocab][a] * toy.target[a][b] * toy.target[b][c];
      }
    }
  }
  for (int i = 0; i < kDraws; ++i) {
    const auto text = draw(toy, static_cast<std::uint64_t>(i), rule, drawn);
    counts[static_cast<std::size_t>((text[0] * 6 + text[1]) * 6 + text[2])] += 1;
  }
  return test::chi_square_p(counts, expected);
}

Verdict target_sample(const VerifyInput& input, Rows<const float>, std::vector<float>& scratch) {
  return accept_target_sample(input, scratch);
}

Verdict rejection(const VerifyInput& input, Rows<const float> q, std::vector<float>& scratch) {
  return accept_rejection(input, q, scratch);
}

Verdict rejection_of_certain_drafts(const VerifyInput& input, Rows<const float>,
                                    std::vector<float>& scratch) {
  return accept_rejection(input, {}, scratch);
}

// Accepts as the rejection rule does, but replaces a rejected draft by a draw from p instead of the residual.
Verdict without_residual(const VerifyInput& input, Rows<const float> q, std::vector<float>& scratch) {
  Verdict verdict = accept_rejection(input, q, scratch);
  verdict.next =
      sample(input.logits.row(verdict.accepted), input.sampling, input.position + verdict.accepted, scratch);
  return verdict;
}

TEST(AcceptTargetSample, LeavesTheDistributionWithGreedyDrafts) {
  EXPECT_GT(fit(target_sample, false), 0.001);
}

TEST(AcceptTargetSample, LeavesTheDistributionWithDrawnDrafts) { EXPECT_GT(fit(target_sample, true), 0.001); }

TEST(AcceptRejection, LeavesTheDistribution) { EXPECT_GT(fit(rejection, true), 0.001); }

TEST(AcceptRejection, LeavesTheDistributionWhenDraftsAreCertain) {
  EXPECT_GT(fit(rejection_of_certain_drafts, false), 0.001);
}

TEST(AcceptRejection, IsFoundOutWhenDraftsAreArgmaxesInsteadOfDraws) {
  EXPECT_LT(fit(rejection, false), 1e-6);
}

TEST(AcceptRejection, IsFoundOutWithoutTheResidual) { EXPECT_LT(fit(without_residual, true), 1e-6); }

TEST(AcceptTargetSample, EmitsTheSameTokensWhateverIsDrafted) {
  const Toy toy;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_EQ(draw(toy, seed, target_sample, false), draw(toy, seed, target_sample, true));
  }
}

struct Case {
  std::vector<float> logits;  // [rows, 3]
  std::vector<Token> drafts;
  VerifyInput input(float temperature) {
    VerifyInput in;
    in.logits = Rows<const float>(logits.data(), drafts.size() + 1, 3);
    in.drafts = drafts;
    in.sampling.temperature = temperature;
    return in;
  }
};

TEST(AcceptTargetSample, StopsAtTheFirstGreedyMismatch) {
  Case c{{0, 1, 0, 5, 1, 0, 0, 0, 9, 1, 0, 0}, {1, 2, 2}};
  std::vector<float> scratch;
  const Verdict verdict = accept_target_sample(c.input(0), scratch);
  EXPECT_EQ(verdict.accepted, 1u);  // the third draft would match its row, but its prefix is wrong
  EXPECT_EQ(verdict.next, 0);
}

TEST(AcceptTargetSample, GivesTheBonusTokenOfTheLastRowWhenAllStand) {
  Case c{{0, 1, 0, 5, 1, 0, 0, 0, 9}, {1, 0}};
  std::vector<float> scratch;
  const Verdict verdict = accept_target_sample(c.input(0), scratch);
  EXPECT_EQ(verdict.accepted, 2u);
  EXPECT_EQ(verdict.next, 2);
}

TEST(AcceptRejection, DrawsFromTheTargetWhenTheResidualIsEmpty) {
  // The target holds all its mass on token 1 and the draft, drawn from the same q, was reported as token 0.
  Case c{{-1e30f, 0, -1e30f, 0, 0, 0}, {0}};
  const std::vector<float> q = {0.0f, 1.0f, 0.0f};
  std::vector<float> scratch;
  const Verdict verdict = accept_rejection(c.input(1), Rows<const float>(q.data(), 1, 3), scratch);
  EXPECT_EQ(verdict.accepted, 0u);
  EXPECT_EQ(verdict.next, 1);
}

TEST(StopRules, KeepsUpToAndWithTheFirstStop) {
  const StopRules stops({9, 4});
  EXPECT_EQ(stops.kept(std::vector<Token>{1, 2, 3}), 3u);
  EXPECT_EQ(stops.kept(std::vector<Token>{1, 4, 3, 9}), 2u);
  EXPECT_EQ(stops.kept(std::vector<Token>{9}), 1u);
  EXPECT_EQ(stops.kept(std::vector<Token>{}), 0u);
  EXPECT_TRUE(stops.is_stop(4));
  EXPECT_FALSE(stops.is_stop(5));
  EXPECT_FALSE(StopRules().is_stop(0));
}

}  // namespace
}  // namespace kakeya::decode
