// Greedy output with a drafter is, token for token, greedy output without: every channel of the registry,
// block, number of threads and verify width.
#include <gtest/gtest.h>

#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

struct Grid {
  test::PairFiles pair;
  std::size_t prompts;
  int tokens;
  bool every_width;
};

std::vector<std::size_t> widths(std::size_t block, bool every) {
  if (!every) return {block};
  std::vector<std::size_t> out = {block, 2};
  if (block > 3) out.push_back(block / 2 + 1);
  return out;
}

void expect_lossless(const Grid& grid) {
  const auto prompts = grid.pair.prompts(grid.prompts);
  ASSERT_EQ(prompts.size(), grid.prompts);
  const auto one = test::open(grid.pair, 1), two = test::open(grid.pair, 2);
  std::size_t accepted = 0, runs = 0;
  for (const std::string& channel : test::channels()) {
    const auto reference = test::session(*one, channel);
    const std::unique_ptr<Session> drafted[] = {test::session(*one, channel), test::session(*two, channel)};
    for (const auto& prompt : prompts) {
      const auto expected = test::take(reference->generate(prompt, test::plain(test::greedy(grid.tokens))));
      EXPECT_TRUE(expected.cycles.empty());
      EXPECT_EQ(expected.target_forwards, expected.ids.size() - 1);
      for (const std::size_t block : {2u, 4u, 8u, 16u}) {
        for (const std::size_t width : widths(block, grid.every_width)) {
          for (const auto& session : drafted) {
            const auto out = test::take(session->generate(prompt, test::greedy(grid.tokens, block, width)));
            ASSERT_EQ(out.ids, expected.ids) << channel << " block " << block << " width " << width;
            EXPECT_EQ(out.finish, expected.finish);
            test::expect_accounts(out, width);
            for (const Cycle& cycle : out.cycles) accepted += cycle.accepted;
            ++runs;
          }
        }
      }
    }
  }
  EXPECT_GE(runs, test::channels().size() * grid.prompts * 8);
  EXPECT_GT(accepted, runs) << "drafts that never stand would prove nothing";
}

TEST(Lossless, OnTheEmbeddedPair) { expect_lossless({test::tiny_pair(), 1, 32, false}); }

TEST(Lossless, OnARandomTargetWithAFullDraft) {
  expect_lossless({test::random_pair("dflash-full"), 2, 40, true});
}

TEST(Lossless, OnARandomTargetWithASlidingDraft) {
  expect_lossless({test::random_pair("dflash-sliding"), 1, 40, true});
}

TEST(Lossless, UnderEveryDraftChannel) {
  for (const auto& pair : {test::tiny_pair(), test::random_pair("dflash-full")}) {
    const auto engine = test::open(pair, 2);
    const auto prompts = pair.prompts(2);
    const auto reference = test::session(*engine, "e8-q10");
    for (const std::string& channel : test::channels()) {
      const auto drafted = test::session(*engine, "e8-q10", channel);
      for (const auto& prompt : prompts) {
        const auto expected = test::take(reference->generate(prompt, test::plain(test::greedy(24))));
        const auto out = test::take(drafted->generate(prompt, test::greedy(24)));
        EXPECT_EQ(out.ids, expected.ids) << pair.name << " " << channel;
        EXPECT_EQ(drafted->ledger().draft.channel, channel);
      }
    }
  }
}

// What kAuto chooses depends on the clock of the moment; decode/policy_decode_test.cc has every other choice.
TEST(Lossless, OnEveryModeOfSpeculation) {
  for (const auto& pair : {test::tiny_pair(), test::random_pair("dflash-full")}) {
    const auto engine = test::open(pair, 2);
    const auto prompt = pair.prompts(1)[0];
    for (const std::string& channel : test::channels()) {
      const auto session = test::session(*engine, channel, channel);
      for (const float temperature : {0.0f, 0.9f}) {
        GenerateOptions options = test::greedy(24);
        options.sampling.temperature = temperature;
        options.ignore_stop = true;
        options.speculation = Speculation::kOff;
        const auto expected = test::take(session->generate(prompt, options));
        EXPECT_EQ(expected.speculation, Speculation::kOff);
        EXPECT_TRUE(expected.cycles.empty());
        for (const Speculation speculation : {Speculation::kAuto, Speculation::kFixed}) {
          options.speculation = speculation;
          const auto out = test::take(session->generate(prompt, options));
          EXPECT_EQ(out.ids, expected.ids) << pair.name << " " << channel << " " << to_string(speculation);
          EXPECT_EQ(out.speculation, speculation);
          test::expect_accounts(out, pair.name == "tiny" ? 8 : 16);
        }
      }
    }
  }
}

TEST(Lossless, UnderEveryCpuVariant) {
  const auto pair = test::random_pair("dflash-full");
  const auto prompts = pair.prompts(3);
  for (const std::string& isa : available_isas()) {
    const auto engine = test::open(pair, 2, isa);
    EXPECT_EQ(engine->isa(), isa);
    for (const char* channel : {"bf16", "e8-q10"}) {
      const auto session = test::session(*engine, channel);
      for (const auto& prompt : prompts) {
        const auto expected = test::take(session->generate(prompt, test::plain(test::greedy(40))));
        EXPECT_EQ(test::take(session->generate(prompt, test::greedy(40, 8))).ids, expected.ids)
            << isa << " " << channel;
      }
    }
  }
}

TEST(Lossless, WithLayersKeptInBf16) {
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 2);
  const auto session = test::session(*engine, "e8-q4", "bf16", 1);
  for (const auto& prompt : pair.prompts(3)) {
    const auto expected = test::take(session->generate(prompt, test::plain(test::greedy(40))));
    EXPECT_EQ(test::take(session->generate(prompt, test::greedy(40, 8))).ids, expected.ids);
  }
  const auto layers = session->ledger().target.layers;
  EXPECT_EQ(layers.front().channel, "bf16");
  EXPECT_EQ(layers[1].channel, "e8-q4");
  EXPECT_EQ(layers.back().channel, "bf16");
}

}  // namespace
}  // namespace kakeya::engine
