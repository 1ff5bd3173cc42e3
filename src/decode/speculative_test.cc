// The draft-verify loop on small checkpoints: the reference's lists, accounting, cuts and roll-back.
#include "decode/speculative.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "decode/pair_test_support.h"

namespace kakeya::decode {
namespace {

using test::decode_all;
using test::Output;
using test::Pair;
using test::Sequence;
using ::testing::HasSubstr;

constexpr const char* kModels = "tests/golden/models/";

struct GoldenPair {
  std::string draft;
  Pair pair;
  nlohmann::json cases;
  explicit GoldenPair(const std::string& name)
      : draft(name),
        pair(std::string(kModels) + "dflash-target", kModels + name),
        cases(test::read_json(kModels + name + "/golden.json")["cases"]) {}
};

std::vector<Token> prompt_of(const nlohmann::json& golden) {
  return golden["prompt_ids"].get<std::vector<Token>>();
}

DecodePlan plan_for(std::size_t block, std::size_t width, std::size_t tokens) {
  DecodePlan plan;
  plan.block = {block, width};
  plan.max_tokens = tokens;
  return plan;
}

class ZLabReference : public ::testing::TestWithParam<const char*> {};

TEST_P(ZLabReference, HasTheSameIdsAndAcceptanceLengths) {
  GoldenPair golden(GetParam());
  Sequence sequence(golden.pair, "f32", "f32");
  for (const auto& entry : golden.cases) {
    const auto ids = entry["output_ids"].get<std::vector<Token>>();
    const std::size_t block = entry["block_size"];
    // The reference runs cycles until one token more is out, then cuts.
    Output out = decode_all(sequence.target, &sequence.drafter, plan_for(block, block, ids.size() + 1),
                            prompt_of(entry));
    out.ids.resize(ids.size());
    std::vector<int> lengths;
    for (const Cycle& cycle : out.cycles) lengths.push_back(static_cast<int>(cycle.length()));
    EXPECT_EQ(out.ids, ids);
    EXPECT_EQ(lengths, entry["acceptance_lengths"].get<std::vector<int>>());
  }
}

INSTANTIATE_TEST_SUITE_P(Drafts, ZLabReference, ::testing::Values("dflash-full", "dflash-sliding"),
                         [](const auto& draft) {
                           return std::string(draft.param) == "dflash-full" ? "full" : "sliding";
                         });

TEST(SpeculativeDecoder, CountsItsPassesAsTheModelDoes) {
  GoldenPair golden("dflash-full");
  Sequence sequence(golden.pair, "bf16", "bf16");
  const auto prompt = prompt_of(golden.cases[0]);
  for (const std::size_t width : {1u, 2u, 5u, 8u}) {
    golden.pair.target->forwards = 0;
    const Output out = decode_all(sequence.target, &sequence.drafter, plan_for(8, width, 40), prompt);
    EXPECT_EQ(golden.pair.target->forwards, out.target_forwards + 1) << "one pass for the prompt";
    if (width == 1) {
      EXPECT_TRUE(out.cycles.empty());
      EXPECT_EQ(out.target_forwards, out.ids.size() - 1);
      continue;
    }
    ASSERT_EQ(out.cycles.size(), out.target_forwards);
    std::size_t emitted = 0, lengths = 0;
    for (std::size_t i = 0; i < out.cycles.size(); ++i) {
      const Cycle& cycle = out.cycles[i];
      EXPECT_EQ(cycle.proposed, width - 1);
      EXPECT_LE(cycle.accepted, cycle.proposed);
      if (i + 1 < out.cycles.size()) {
        EXPECT_EQ(cycle.emitted, cycle.accepted + 1);
      }
      emitted += cycle.emitted;
      lengths += cycle.length();
    }
    EXPECT_EQ(emitted, out.ids.size() - 1);
    EXPECT_EQ(lengths - emitted, out.cycles.back().length() - out.cycles.back().emitted);
  }
}

// Every row that `a` and `b` hold, as a reader sees it.
void expect_same_rows(const kv::Cache& a, const kv::Cache& b, base::ThreadPool& pool) {
  ASSERT_EQ(a.length(), b.length());
  ASSERT_EQ(a.committed(), b.committed());
  const kernels::Compute compute{&kernels::best(), &pool};
  const kv::KvShape shape = a.shape();
  std::vector<float> left(shape.head_dim), right(shape.head_dim);
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    for (std::size_t head = 0; head < shape.kv_heads; ++head) {
      for (std::size_t position = 0; position < a.length(); ++position) {
        for (const bool value : {false, true}) {
          a.read_row(compute, layer, head, value, position, left);
          b.read_row(compute, layer, head, value, position, right);
          ASSERT_EQ(left, right) << layer << " " << head << " " << position << " " << value;
        }
      }
    }
  }
}

TEST(SpeculativeDecoder, LeavesTheCachesOfPlainDecodingWhereverItIsCut) {
  GoldenPair golden("dflash-full");
  const auto prompt = prompt_of(golden.cases[0]);
  Sequence plain(golden.pair, "e8-q10", "e8-q10"), drafted(golden.pair, "e8-q10", "e8-q10");
  for (std::size_t tokens = 1; tokens <= 30; ++tokens) {
    DecodePlan plan = plan_for(8, 8, tokens);
    const Output cut = decode_all(drafted.target, &drafted.drafter, plan, prompt);
    const Output expected = decode_all(plain.target, nullptr, plan_for(1, 1, tokens), prompt);
    EXPECT_EQ(cut.ids, expected.ids);
    EXPECT_EQ(cut.finish, FinishReason::kLength);
    EXPECT_EQ(drafted.kv->length(), prompt.size() + tokens - 1);
    EXPECT_EQ(drafted.draft_kv->length(), drafted.kv->length());
    expect_same_rows(*drafted.kv, *plain.kv, plain.pool);
  }
}

TEST(SpeculativeDecoder, StopsWherePlainDecodingStops) {
  GoldenPair golden("dflash-full");
  Sequence plain(golden.pair, "bf16", "bf16"), drafted(golden.pair, "bf16", "bf16");
  int inside_a_block = 0, at_once = 0;
  for (const auto& entry : golden.cases) {
    const auto prompt = prompt_of(entry);
    const auto free = decode_all(plain.target, nullptr, plan_for(1, 1, 60), prompt).ids;
    for (const Token stop : std::set<Token>(free.begin(), free.end())) {
      DecodePlan plan = plan_for(8, 8, 60);
      plan.stops = StopRules({stop});
      const Output cut = decode_all(drafted.target, &drafted.drafter, plan, prompt);
      plan.block = {1, 1};
      const Output expected = decode_all(plain.target, nullptr, plan, prompt);
      EXPECT_EQ(cut.ids, expected.ids) << stop;
      EXPECT_EQ(cut.ids.back(), stop);
      EXPECT_EQ(cut.finish, FinishReason::kStop);
      EXPECT_EQ(std::ranges::count(cut.ids, stop), 1) << stop;
      EXPECT_EQ(drafted.kv->length(), plain.kv->length()) << stop;
      EXPECT_EQ(drafted.draft_kv->length(), plain.kv->length()) << stop;
      at_once += cut.ids.size() == 1;
      inside_a_block += !cut.cycles.empty() && cut.cycles.back().emitted < cut.cycles.back().length();
    }
  }
  EXPECT_EQ(at_once, static_cast<int>(golden.cases.size())) << "the first token of each prompt stops at once";
  EXPECT_GT(inside_a_block, 0) << "some stop must fall inside an accepted run, else nothing was cut";
}

TEST(SpeculativeDecoder, ClipsTheBlockAtTheEndOfTheCache) {
  GoldenPair golden("dflash-full");
  const auto prompt = prompt_of(golden.cases[0]);
  for (std::size_t spare = 0; spare < 9; ++spare) {
    constexpr std::size_t kTokens = 20;
    Sequence tight(golden.pair, "bf16", "bf16", 1, prompt.size() + kTokens + spare);
    Sequence plain(golden.pair, "bf16", "bf16");
    const Output out = decode_all(tight.target, &tight.drafter, plan_for(8, 8, kTokens), prompt);
    EXPECT_EQ(out.ids, decode_all(plain.target, nullptr, plan_for(1, 1, kTokens), prompt).ids) << spare;
  }
}

// A drafter of another kind through the same seam: repeats the token before the anchor.
class EchoDrafter final : public Drafter {
 public:
  std::span<const std::size_t> tap_layers() const override { return {}; }
  std::size_t block_size() const override { return 4; }
  std::size_t length() const override { return seen_.size(); }
  void begin(std::size_t kept) override { seen_.resize(kept); }
  Status observe(std::span<const Token> tokens, Rows<const float>) override {
    seen_.insert(seen_.end(), tokens.begin(), tokens.end());
    return {};
  }
  Result<Proposal> propose(const ProposeRequest& request) override {
    ++stats_.passes;
    tokens_.assign(request.wanted, seen_.back());
    return Proposal{tokens_, {}};
  }
  const DraftStats& stats() const override { return stats_; }
  const std::vector<Token>& seen() const { return seen_; }

 private:
  std::vector<Token> seen_, tokens_;
  DraftStats stats_;
};

TEST(SpeculativeDecoder, TakesADrafterThatTapsNothing) {
  GoldenPair golden("dflash-full");
  const auto prompt = prompt_of(golden.cases[0]);
  Sequence sequence(golden.pair, "bf16", "bf16"), plain(golden.pair, "bf16", "bf16");
  EchoDrafter echo;
  const Output out = decode_all(sequence.target, &echo, plan_for(4, 4, 30), prompt);
  EXPECT_EQ(out.ids, decode_all(plain.target, nullptr, plan_for(1, 1, 30), prompt).ids);
  std::vector<Token> text = prompt;
  text.insert(text.end(), out.ids.begin(), out.ids.end() - 1);
  EXPECT_EQ(echo.seen(), text) << "it observes every settled token once, in order";
}

TEST(PlanBlock, FillsDefaultsAndRefusesAWidthBeyondTheBlock) {
  EXPECT_EQ(plan_block(8, 0, 0)->block, 8u);
  EXPECT_EQ(plan_block(8, 0, 0)->width, 8u);
  EXPECT_EQ(plan_block(8, 16, 4)->block, 16u);
  EXPECT_EQ(plan_block(8, 16, 4)->width, 4u);
  const auto wide = plan_block(8, 0, 9);
  ASSERT_FALSE(wide.ok());
  EXPECT_THAT(wide.error().message, HasSubstr("verify_width is 9"));
  EXPECT_THAT(wide.error().message, HasSubstr("block_size, which is 8"));
  ASSERT_FALSE(plan_block(8, 100000, 0).ok());
}

}  // namespace
}  // namespace kakeya::decode
