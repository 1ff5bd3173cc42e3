// Forced reference: equal to the free run on the baseline channel, and fidelity against a cache fed the same
// tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "decode/fidelity.h"
#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

using ::testing::HasSubstr;

std::vector<std::size_t> cycle_starts(const Generation& out) {
  std::vector<std::size_t> starts;
  std::size_t at = 0;
  for (const Cycle& cycle : out.cycles) {
    starts.push_back(at);
    at += cycle.emitted;
  }
  return starts;
}

ForcedRequest request_for(const std::vector<Token>& prompt, const std::vector<Token>& reference,
                          const std::vector<std::size_t>& anchors) {
  ForcedRequest request;
  request.prompt = prompt;
  request.reference = reference;
  request.anchors = anchors;
  return request;
}

TEST(Forced, RepeatsTheFreeRunsListsOnTheBaselineChannel) {
  for (const auto& pair : {test::tiny_pair(), test::random_pair("dflash-full")}) {
    const auto engine = test::open(pair, 2);
    const auto session = test::session(*engine, "bf16");
    const bool small = pair.name != "tiny";
    for (const std::size_t block : small ? std::vector<std::size_t>{4, 8, 16} : std::vector<std::size_t>{8}) {
      for (const std::size_t width : {std::size_t{0}, std::size_t{3}}) {
        for (const auto& prompt : pair.prompts(small ? 3 : 1)) {
          const auto free = test::take(session->generate(prompt, test::greedy(40, block, width)));
          const auto anchors = cycle_starts(free);
          ForcedRequest request = request_for(prompt, free.ids, anchors);
          request.block_size = block;
          request.verify_width = width;
          const auto forced = test::take(session->forced_reference(request));
          ASSERT_EQ(forced.anchors.size(), free.cycles.size());
          for (std::size_t i = 0; i < anchors.size(); ++i) {
            EXPECT_EQ(forced.anchors[i].index, anchors[i]);
            EXPECT_EQ(forced.anchors[i].proposed, free.cycles[i].proposed);
            EXPECT_EQ(forced.anchors[i].accepted, free.cycles[i].accepted) << pair.name << " cycle " << i;
          }
          EXPECT_EQ(forced.positions, free.ids.size());
          EXPECT_EQ(forced.top1_agree, forced.positions);
          EXPECT_EQ(forced.first_divergence, -1);
          EXPECT_EQ(forced.kl_sum, 0.0);
        }
      }
    }
  }
}

TEST(Forced, FindsNoDifferenceWhenAllLayersOfAChannelAreKeptInBf16) {  // through a real second cache
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 2);
  const auto baseline = test::session(*engine, "bf16"), kept = test::session(*engine, "e8-q4", "bf16", 3);
  const auto prompt = pair.prompts(1)[0];
  const auto free = test::take(baseline->generate(prompt, test::greedy(40)));
  const auto anchors = cycle_starts(free);
  const auto forced = test::take(kept->forced_reference(request_for(prompt, free.ids, anchors)));
  EXPECT_EQ(forced.top1_agree, free.ids.size());
  EXPECT_EQ(forced.kl_sum, 0.0);
  EXPECT_EQ(forced.nll_sum, forced.nll_baseline_sum);
}

TEST(Forced, ScoresEveryPositionAsTwoIndependentLogitRunsDo) {
  const auto pair = test::tiny_pair();
  const auto engine = test::open(pair, 2);
  const auto baseline = test::session(*engine, "bf16"), coarse = test::session(*engine, "e8-q4");
  const auto prompt = pair.prompts(1)[0];
  const auto free = test::take(baseline->generate(prompt, test::greedy(40)));
  const auto anchors = cycle_starts(free);
  const auto forced = test::take(coarse->forced_reference(request_for(prompt, free.ids, anchors)));

  std::vector<Token> text = prompt;
  text.insert(text.end(), free.ids.begin(), free.ids.end() - 1);
  const auto base = test::take(baseline->logits(text, LogitSelection::kAll, false));
  const auto row = test::take(coarse->logits(text, LogitSelection::kAll, false));
  ForcedResult expected;
  for (std::size_t i = 0; i < free.ids.size(); ++i) {
    const std::size_t at = (prompt.size() - 1 + i) * base.vocab;
    decode::add_position(decode::compare_rows({row.logits.data() + at, row.vocab},
                                              {base.logits.data() + at, base.vocab}, free.ids[i]),
                         expected);
  }
  EXPECT_EQ(forced.positions, expected.positions);
  EXPECT_EQ(forced.top1_agree, expected.top1_agree);
  EXPECT_EQ(forced.first_divergence, expected.first_divergence);
  EXPECT_DOUBLE_EQ(forced.kl_sum, expected.kl_sum);
  EXPECT_DOUBLE_EQ(forced.nll_sum, expected.nll_sum);
  EXPECT_DOUBLE_EQ(forced.nll_baseline_sum, expected.nll_baseline_sum);
  EXPECT_GT(forced.kl_sum, 0.0) << "four levels must show";
}

TEST(Forced, GivesTheSameCountsWhateverOtherAnchorsThereAre) {
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 1);
  const auto baseline = test::session(*engine, "bf16"), session = test::session(*engine, "e8-q10");
  const auto prompt = pair.prompts(1)[0];
  const auto reference = test::take(baseline->generate(prompt, test::greedy(30))).ids;
  std::vector<std::size_t> every(reference.size());
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = i;
  const auto all = test::take(session->forced_reference(request_for(prompt, reference, every)));
  ASSERT_EQ(all.anchors.size(), reference.size());
  for (const std::size_t anchor : {0u, 7u, 19u, 29u}) {
    const std::vector<std::size_t> one = {anchor};
    const auto alone = test::take(session->forced_reference(request_for(prompt, reference, one)));
    EXPECT_EQ(alone.anchors[0].accepted, all.anchors[anchor].accepted) << anchor;
    EXPECT_DOUBLE_EQ(alone.kl_sum, all.kl_sum);
  }
}

TEST(Forced, WorksWithoutADraftWhenThereAreNoAnchors) {
  EngineOptions options;
  options.target = test::source_path("tests/golden/models/dflash-target");
  const auto engine = test::take(Engine::open(options));
  const auto session = test::session(*engine, "e8-q10");
  const std::vector<Token> prompt = {1, 2, 3}, reference = {4, 5, 6};
  const std::vector<std::size_t> none, some = {0};
  EXPECT_EQ(test::take(session->forced_reference(request_for(prompt, reference, none))).positions, 3u);
  const auto refused = session->forced_reference(request_for(prompt, reference, some));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("anchors need a draft"));
}

TEST(Forced, RefusesAnchorsOutOfOrderOrBeyondTheReference) {
  const auto engine = test::open(test::random_pair("dflash-full"), 1);
  const auto session = test::session(*engine, "bf16");
  const std::vector<Token> prompt = {1, 2, 3}, reference = {4, 5, 6};
  const std::vector<std::size_t> beyond = {3}, twice = {1, 1};
  const auto first = session->forced_reference(request_for(prompt, reference, beyond));
  ASSERT_FALSE(first.ok());
  EXPECT_THAT(first.error().message, HasSubstr("anchor 0 is 3, expected less than 3"));
  const auto second = session->forced_reference(request_for(prompt, reference, twice));
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("anchor 1 is 1, expected more than the one before"));
}

}  // namespace
}  // namespace kakeya::engine
