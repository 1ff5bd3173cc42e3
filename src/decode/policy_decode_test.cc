// The loop under a policy that changes its mind every cycle: text, caches and drafts are those of a loop that
// observes at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "decode/auto_policy.h"
#include "decode/pair_test_support.h"

namespace kakeya::decode {
namespace {

using test::decode_all;
using test::Output;
using test::Pair;
using test::Sequence;

constexpr const char* kModels = "tests/golden/models/";

std::vector<Token> prompt_of(const std::string& draft, std::size_t index) {
  const auto golden = test::read_json(kModels + draft + "/golden.json");
  return golden["cases"][index]["prompt_ids"].get<std::vector<Token>>();
}

// Any width at any time; sees to it that what it is told fits together.
class WhimsicalPolicy final : public WidthPolicy {
 public:
  WhimsicalPolicy(std::uint32_t seed, double plain_share) : random_(seed), plain_share_(plain_share) {}
  bool wants_draft(std::size_t) override { return true; }
  void begin(const PromptCost& cost) override { unobserved_ = cost.tokens % kPrefillRows; }
  std::size_t choose(const CycleRoom& room) override {
    EXPECT_EQ(room.unobserved, unobserved_);
    std::uniform_real_distribution<double> uniform(0, 1);
    const bool plain = uniform(random_) < plain_share_ || room.rows < 2;
    width_ = plain ? 1 : std::uniform_int_distribution<std::size_t>(2, room.rows)(random_);
    return width_;
  }
  bool hopeful() const override { return false; }
  double expected_tokens(std::size_t) const override { return 1; }
  bool affords(std::size_t) override { return generous; }
  void observed(std::size_t rows, double) override {
    EXPECT_LE(rows, unobserved_);
    EXPECT_LE(rows, kPrefillRows);
    unobserved_ -= rows;
    ++batches;
    widest = std::max(widest, rows);
  }
  void record(const CycleCost& cost) override {
    EXPECT_EQ(cost.rows, width_);
    EXPECT_EQ(cost.proposed, width_ - 1);
    EXPECT_GE(cost.emitted, 1u);
    if (width_ > 1) {
      EXPECT_EQ(unobserved_, 0u) << "a draft must see all that is settled";
    }
    unobserved_ += cost.emitted;
    widths.push_back(width_);
  }

  std::vector<std::size_t> widths;
  std::size_t batches = 0, widest = 0;
  bool generous = true;

 private:
  std::mt19937 random_;
  double plain_share_;
  std::size_t width_ = 1, unobserved_ = 0;
};

DecodePlan plan_for(std::size_t block, std::size_t tokens) {
  DecodePlan plan;
  plan.block = {block, block};
  plan.max_tokens = tokens;
  return plan;
}

void expect_equal_rows(const kv::Cache& a, const kv::Cache& b, base::ThreadPool& pool) {
  ASSERT_EQ(a.length(), b.length());
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

TEST(PolicyDecoding, GivesTheTextOfPlainDecodingWhateverWidthsAreChosen) {
  std::size_t accepted = 0;
  for (const char* draft : {"dflash-full", "dflash-sliding"}) {
    const Pair pair(std::string(kModels) + "dflash-target", kModels + std::string(draft));
    for (const char* channel : {"bf16", "e8-q10", "q4_0"}) {
      Sequence plain(pair, channel, channel), free(pair, channel, channel, 2);
      const auto prompt = prompt_of(draft, 0);
      for (std::uint32_t seed = 0; seed < 6; ++seed) {
        DecodePlan plan = plan_for(8, 70);
        plan.sampling.temperature = seed % 2 == 0 ? 0.0f : 0.9f;
        plan.sampling.seed = seed;
        DecodePlan plainly = plan;
        plainly.block = {1, 1};
        const Output expected = decode_all(plain.target, nullptr, plainly, prompt);
        WhimsicalPolicy policy(seed, 0.4);
        plan.policy = &policy;
        const Output out = decode_all(free.target, &free.drafter, plan, prompt);
        ASSERT_EQ(out.ids, expected.ids) << draft << " " << channel << " seed " << seed;
        EXPECT_EQ(out.cycles.size(), policy.widths.size());
        EXPECT_EQ(out.target_forwards, out.cycles.size());
        EXPECT_TRUE(std::ranges::find(policy.widths, 1u) != policy.widths.end());
        for (const Cycle& cycle : out.cycles) accepted += cycle.accepted;
        expect_equal_rows(*free.kv, *plain.kv, plain.pool);
      }
    }
  }
  EXPECT_GT(accepted, 30u);
}

TEST(PolicyDecoding, LeavesTheDraftCacheOfObservingAtOnce) {
  for (const char* draft : {"dflash-full", "dflash-sliding"}) {
    const Pair pair(std::string(kModels) + "dflash-target", kModels + std::string(draft));
    Sequence at_once(pair, "bf16", "e8-q10"), late(pair, "bf16", "e8-q10");
    std::vector<Token> prompt = prompt_of(draft, 0);
    for (int i = 0; prompt.size() < 100; ++i) prompt.push_back((i * 13) % 60);
    const Output expected = decode_all(at_once.target, &at_once.drafter, plan_for(8, 300), prompt);
    for (const double plain_share : {1.0, 0.97, 0.5}) {
      WhimsicalPolicy policy(3, plain_share);
      DecodePlan plan = plan_for(8, 300);
      plan.policy = &policy;
      const Output out = decode_all(late.target, &late.drafter, plan, prompt);
      EXPECT_EQ(out.ids, expected.ids) << plain_share;
      expect_equal_rows(*late.draft_kv, *at_once.draft_kv, late.pool);
      if (plain_share == 1.0) {  // 100 + 299 rows
        EXPECT_EQ(policy.batches, 2u);
        EXPECT_EQ(policy.widest, kPrefillRows);
        EXPECT_GE(late.target.taps_bytes(), kPrefillRows * late.target.taps().cols * sizeof(float));
      }
    }
  }
}

TEST(PolicyDecoding, LeavesToTheNextWhatTheEndDoesNotAfford) {
  const Pair pair(std::string(kModels) + "dflash-target", std::string(kModels) + "dflash-full");
  Sequence at_once(pair, "bf16", "e8-q10"), late(pair, "bf16", "e8-q10");
  const std::vector<Token> prompt = prompt_of("dflash-full", 0);
  decode_all(at_once.target, &at_once.drafter, plan_for(8, 40), prompt);
  WhimsicalPolicy policy(3, 1.0);
  policy.generous = false;
  DecodePlan plan = plan_for(8, 40);
  plan.policy = &policy;
  SpeculativeDecoder decoder(late.target, &late.drafter, plan);
  ASSERT_TRUE(decoder.start(prompt).ok());
  while (!decoder.finished()) ASSERT_TRUE(decoder.step().ok());
  ASSERT_TRUE(decoder.settle_or_leave().ok());
  EXPECT_EQ(late.drafter.length(), 0u);
  ASSERT_EQ(late.target.aside_tokens().size(), late.target.length());
  ASSERT_TRUE(late.drafter.observe(late.target.aside_tokens(), late.target.aside_taps()).ok());
  expect_equal_rows(*late.draft_kv, *at_once.draft_kv, late.pool);
}

// Proposals of a drafter that observed at once, beside those of one that observed late.
class RecordingDrafter final : public Drafter {
 public:
  explicit RecordingDrafter(Drafter& inner) : inner_(inner) {}
  std::span<const std::size_t> tap_layers() const override { return inner_.tap_layers(); }
  std::size_t block_size() const override { return inner_.block_size(); }
  std::size_t length() const override { return inner_.length(); }
  void begin(std::size_t kept) override { inner_.begin(kept); }
  Status observe(std::span<const Token> tokens, Rows<const float> taps) override {
    return inner_.observe(tokens, taps);
  }
  Result<Proposal> propose(const ProposeRequest& request) override {
    KAKEYA_ASSIGN(const Proposal proposal, inner_.propose(request));
    proposals.emplace_back(inner_.length(),
                           std::vector<Token>(proposal.tokens.begin(), proposal.tokens.end()));
    return proposal;
  }
  const DraftStats& stats() const override { return inner_.stats(); }
  std::vector<std::pair<std::size_t, std::vector<Token>>> proposals;

 private:
  Drafter& inner_;
};

// Width 2 at fixed places of the text, so that two loops draft at the same ones.
class PlacedPolicy final : public WidthPolicy {
 public:
  explicit PlacedPolicy(std::size_t every) : every_(every) {}
  bool wants_draft(std::size_t) override { return true; }
  void begin(const PromptCost&) override {}
  std::size_t choose(const CycleRoom& room) override { return room.context % every_ < 2 ? 2 : 1; }
  bool hopeful() const override { return false; }
  double expected_tokens(std::size_t) const override { return 1; }
  bool affords(std::size_t) override { return true; }
  void observed(std::size_t, double) override {}
  void record(const CycleCost&) override {}

 private:
  std::size_t every_;
};

TEST(PolicyDecoding, ProposesTheSameDraftsAfterALongRestAsWithoutOne) {
  const std::string draft = "dflash-full";
  const Pair pair(std::string(kModels) + "dflash-target", kModels + draft);
  const auto prompt = prompt_of(draft, 1);
  Sequence often(pair, "bf16", "bf16"), rarely(pair, "bf16", "bf16");
  RecordingDrafter a(often.drafter), b(rarely.drafter);
  PlacedPolicy each(5), some(40);
  DecodePlan plan = plan_for(8, 200);
  plan.policy = &each;
  const Output first = decode_all(often.target, &a, plan, prompt);
  plan.policy = &some;
  const Output second = decode_all(rarely.target, &b, plan, prompt);
  EXPECT_EQ(first.ids, second.ids);
  std::size_t compared = 0;
  for (const auto& [length, tokens] : b.proposals) {
    for (const auto& [other_length, other] : a.proposals) {
      if (length != other_length) continue;
      EXPECT_EQ(tokens, other) << length;
      ++compared;
    }
  }
  EXPECT_GT(compared, 3u);
}

TEST(PolicyDecoding, TellsThePolicyWhatTheClockSays) {
  const std::string draft = "dflash-full";
  const Pair pair(std::string(kModels) + "dflash-target", kModels + draft);
  const auto prompt = prompt_of(draft, 0);
  Sequence sequence(pair, "bf16", "bf16");
  PolicyMemory memory;
  AutoPolicy policy(memory, 8, 60);
  DecodePlan plan = plan_for(8, 60);
  double now = 0;
  plan.clock = [&now] { return now += 1; };  // every piece of work takes 1 ms, however many rows it has
  plan.policy = &policy;
  const Output out = decode_all(sequence.target, &sequence.drafter, plan, prompt);
  policy.finish();
  const PolicyReport report = policy.report();
  EXPECT_EQ(report.plain_cycles + report.speculative_cycles, out.cycles.size());
  EXPECT_GE(report.plain_cycles, 3u);
  EXPECT_DOUBLE_EQ(report.plain_step_ms, 1);
  // A prompt of 1 ms and 59 steps of 1 ms.
  EXPECT_NEAR(report.plain_ms, 60, 1e-9);
  std::size_t first_width = 0;
  for (const Cycle& cycle : out.cycles) first_width += cycle.proposed > 0;
  EXPECT_EQ(first_width, report.speculative_cycles);
  EXPECT_TRUE(memory.curve.plain_known());
}

}  // namespace
}  // namespace kakeya::decode
