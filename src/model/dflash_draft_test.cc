#include "model/dflash_draft.h"

#include "kernels/kernels.h"
#include "model/test_support.h"

namespace kakeya::model {
namespace {

namespace fs = std::filesystem;

class DFlashGolden : public ::testing::TestWithParam<std::string> {
 protected:
  std::string directory_ = testing::golden_dir(GetParam());
  std::unique_ptr<const Model> target_ = testing::load_model(testing::golden_dir("dflash-target"));
  std::unique_ptr<const DFlashDraft> draft_ = testing::load_draft(directory_, *target_);
};

TEST_P(DFlashGolden, IdsDraftsTapsAndAcceptanceEqualTheReference) {
  ASSERT_TRUE(target_ && draft_);
  const auto json = testing::read_json(directory_ + "/golden.json");
  const testing::Golden golden(directory_ + "/golden.safetensors");
  ASSERT_EQ(json["cases"].size(), 5u);
  base::ThreadPool pool(2);
  for (const kernels::Table* ops : testing::oracle_and_best()) {
    const Compute compute{ops, &pool};
    for (std::size_t i = 0; i < json["cases"].size(); ++i) {
      SCOPED_TRACE(std::string(ops->name) + ", case " + std::to_string(i));
      const auto& c = json["cases"][i];
      const auto want = c["output_ids"].get<std::vector<Token>>();
      // The reference runs cycles until max_new tokens beyond the first are out, then cuts.
      auto got = testing::decode(compute, *target_, *draft_, c["prompt_ids"].get<std::vector<Token>>(),
                                 {.block = c["block_size"].get<std::size_t>(), .stop_at = want.size() + 1});
      got.output.resize(want.size());
      EXPECT_EQ(got.output, want);
      EXPECT_EQ(got.acceptance_lengths, c["acceptance_lengths"].get<std::vector<int>>());
      EXPECT_EQ(got.draft_ids, c["draft_ids"].get<std::vector<std::vector<Token>>>());
      const testing::Matrix taps = golden.floats("taps." + std::to_string(i));
      ASSERT_GE(got.taps.size(), taps.values.size());  // ours observes the last cycle too
      got.taps.resize(taps.values.size());
      EXPECT_LE(testing::max_difference(got.taps, taps.values), 1e-4f);
      if (i < 2) {
        const testing::Matrix logits = golden.floats("draft_logits." + std::to_string(i));
        EXPECT_LE(testing::max_difference(got.draft_logits, logits.values), 2e-4f);
      }
    }
  }
}

TEST_P(DFlashGolden, ProposeLeavesTheCacheAsItWas) {
  ASSERT_TRUE(target_ && draft_);
  base::ThreadPool pool(1);
  const Compute compute{&kernels::best(), &pool};
  auto kv = testing::make_cache(target_->kv_shape(), "bf16", 64);
  auto scratch = target_->make_scratch(), draft_scratch = draft_->make_scratch();
  ForwardResult result, first, second;
  const auto ids = testing::random_tokens(20, 64, 3);
  ASSERT_TRUE(
      target_->forward(compute, {ids, kv.get(), LogitRows::kNone, draft_->tap_layers()}, *scratch, result)
          .ok());
  for (const kv::ChannelFamily& family : kv::channel_families()) {
    for (const std::string& channel : family.examples) {
      auto draft_kv = testing::make_cache(draft_->kv_shape(), channel, 64);
      ASSERT_TRUE(draft_->observe(compute, result.taps(), *draft_kv, *draft_scratch).ok());
      const auto snapshot = [&] {
        std::vector<float> rows;
        std::vector<float> row(draft_->kv_shape().head_dim);
        for (std::size_t layer = 0; layer < 2; ++layer) {
          for (std::size_t p = 0; p < draft_kv->length(); ++p) {
            for (const bool value : {false, true}) {
              draft_kv->read_row(compute, layer, 1, value, p, row);
              rows.insert(rows.end(), row.begin(), row.end());
            }
          }
        }
        return rows;
      };
      const auto before = snapshot();
      ASSERT_TRUE(draft_->propose(compute, 5, 8, *draft_kv, *draft_scratch, first).ok());
      EXPECT_EQ(draft_kv->length(), 20u);
      EXPECT_EQ(snapshot(), before) << channel;
      ASSERT_TRUE(draft_->propose(compute, 5, 8, *draft_kv, *draft_scratch, second).ok());
      EXPECT_EQ(first.logits_data, second.logits_data) << channel;
    }
  }
}

// Sequences of different lengths, each in its own channel, observed and drafted together and alone.
TEST_P(DFlashGolden, OtherSequencesInThePassChangeNoBit) {
  ASSERT_TRUE(target_ && draft_);
  base::ThreadPool pool(2);
  const Compute compute{&kernels::best(), &pool};
  auto scratch = target_->make_scratch(), draft_scratch = draft_->make_scratch();
  struct Sequence {
    ForwardResult states, shared, own;
    std::unique_ptr<kv::Cache> together, alone;
  };
  const std::size_t lengths[] = {20, 1, 33}, blocks[] = {8, 2, 5};
  const std::string channels[] = {"bf16", "e8-q10", "e8-q4"};
  std::vector<Sequence> sequences(3);
  std::vector<ObserveRequest> observed;
  std::vector<BlockRequest> wanted;
  std::vector<ForwardResult*> results;
  for (std::size_t i = 0; i < 3; ++i) {
    Sequence& s = sequences[i];
    auto kv = testing::make_cache(target_->kv_shape(), "f32", 64);
    const auto ids = testing::random_tokens(lengths[i], 64, 40 + i);
    ASSERT_TRUE(
        target_->forward(compute, {ids, kv.get(), LogitRows::kNone, draft_->tap_layers()}, *scratch, s.states)
            .ok());
    s.together = testing::make_cache(draft_->kv_shape(), channels[i], 64);
    s.alone = testing::make_cache(draft_->kv_shape(), channels[i], 64);
    observed.push_back({s.states.taps(), s.together.get()});
    wanted.push_back({static_cast<Token>(7 + i), blocks[i], s.together.get()});
    results.push_back(&s.shared);
  }
  ASSERT_TRUE(draft_->observe(compute, observed, *draft_scratch).ok());
  ASSERT_TRUE(draft_->propose(compute, wanted, *draft_scratch, results).ok());
  auto own_scratch = draft_->make_scratch();
  for (std::size_t i = 0; i < 3; ++i) {
    Sequence& s = sequences[i];
    EXPECT_EQ(s.together->length(), lengths[i]);
    ASSERT_TRUE(draft_->observe(compute, s.states.taps(), *s.alone, *own_scratch).ok());
    ASSERT_TRUE(draft_->propose(compute, wanted[i].anchor, blocks[i], *s.alone, *own_scratch, s.own).ok());
    const auto a = s.shared.logits(), b = s.own.logits();
    ASSERT_EQ(a.rows, blocks[i] - 1);
    ASSERT_EQ(b.rows, blocks[i] - 1);
    EXPECT_TRUE(std::equal(a.data, a.data + a.rows * a.cols, b.data)) << "sequence " << i;
  }
}

TEST_P(DFlashGolden, ASequenceWithoutRoomStopsAllAndLeavesThemAsTheyWere) {
  ASSERT_TRUE(target_ && draft_);
  base::ThreadPool pool(1);
  const Compute compute{&kernels::best(), &pool};
  auto draft_scratch = draft_->make_scratch();
  const std::size_t cols = draft_->tap_layers().size() * draft_->config().hidden_size;
  std::vector<float> zeros(8 * cols, 0.25f);
  const Rows<const float> taps{zeros.data(), 8, cols};
  auto roomy = testing::make_cache(draft_->kv_shape(), "bf16", 64),
       tight = testing::make_cache(draft_->kv_shape(), "bf16", 8);
  const std::vector<ObserveRequest> both = {{taps, roomy.get()}, {taps, tight.get()}};
  ASSERT_TRUE(draft_->observe(compute, both, *draft_scratch).ok());
  const Status again = draft_->observe(compute, both, *draft_scratch);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kOutOfMemory);
  const std::vector<BlockRequest> blocks = {{3, 4, roomy.get()}, {3, 4, tight.get()}};
  ForwardResult first, second;
  ForwardResult* const results[] = {&first, &second};
  const Status proposed = draft_->propose(compute, blocks, *draft_scratch, results);
  ASSERT_FALSE(proposed.ok());
  EXPECT_EQ(proposed.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(roomy->length(), 8u);
  EXPECT_EQ(tight->length(), 8u);
}

TEST_P(DFlashGolden, ContextInPiecesGivesTheSameDraft) {
  ASSERT_TRUE(target_ && draft_);
  base::ThreadPool pool(2);
  const Compute compute{&kernels::best(), &pool};
  auto kv = testing::make_cache(target_->kv_shape(), "f32", 400);
  auto scratch = target_->make_scratch(), draft_scratch = draft_->make_scratch();
  ForwardResult result;
  const auto ids = testing::random_tokens(300, 64, 4);
  ASSERT_TRUE(
      target_->forward(compute, {ids, kv.get(), LogitRows::kNone, draft_->tap_layers()}, *scratch, result)
          .ok());
  std::vector<std::vector<float>> logits;
  for (const std::size_t step : {300u, 1u, 37u}) {
    auto draft_kv = testing::make_cache(draft_->kv_shape(), "bf16", 400);
    for (std::size_t at = 0; at < 300; at += step) {
      const Rows<float> piece = result.taps().sub(at, std::min<std::size_t>(step, 300 - at));
      ASSERT_TRUE(draft_->observe(compute, piece, *draft_kv, *draft_scratch).ok());
    }
    ForwardResult drafted;
    ASSERT_TRUE(draft_->propose(compute, 9, 8, *draft_kv, *draft_scratch, drafted).ok());
    logits.push_back(drafted.logits_data);
  }
  EXPECT_EQ(logits[0], logits[1]);
  EXPECT_EQ(logits[0], logits[2]);
}

INSTANTIATE_TEST_SUITE_P(Drafts, DFlashGolden, ::testing::Values("dflash-full", "dflash-sliding"),
                         [](const auto& instance) {
                           return instance.param == "dflash-full" ? "full" : "sliding";
                         });

TEST(DFlashDraft, SlidingLayersAreBlindBeyondTheWindow) {
  // One sliding layer alone: taps older than the window must not change the draft, newer ones must.
  const auto target = testing::load_model(testing::golden_dir("dflash-target"));
  ASSERT_NE(target, nullptr);
  const fs::path directory =
      fs::temp_directory_path() / ("kakeya-draft-window-" + std::to_string(::getpid()));
  fs::remove_all(directory);
  fs::create_directories(directory);
  fs::copy(testing::golden_dir("dflash-sliding") + "/model.safetensors", directory);
  auto config = testing::read_json(testing::golden_dir("dflash-sliding") + "/config.json");
  config["num_hidden_layers"] = 1;
  config["layer_types"] = {"sliding_attention"};
  std::ofstream(directory / "config.json") << config;
  const auto draft = testing::load_draft(directory.string(), *target);
  fs::remove_all(directory);
  ASSERT_NE(draft, nullptr);
  base::ThreadPool pool(1);
  const Compute compute{&kernels::best(), &pool};
  const std::size_t context = 20, window = 6;
  std::vector<float> taps(context * 96);
  std::mt19937 random(8);
  for (float& t : taps) t = static_cast<float>(random() % 2000) / 1000.0f - 1.0f;
  const auto propose = [&](std::size_t changed) {
    std::vector<float> copy = taps;
    if (changed < context) copy[changed * 96] += 1.0f;
    auto kv = testing::make_cache(draft->kv_shape(), "f32", 64);
    auto scratch = draft->make_scratch();
    ForwardResult result;
    EXPECT_TRUE(draft->observe(compute, {copy.data(), context, 96}, *kv, *scratch).ok());
    EXPECT_TRUE(draft->propose(compute, 1, 4, *kv, *scratch, result).ok());
    return result.logits_data;
  };
  const auto reference = propose(context);
  // Row 1 stands at position 21 and sees 16 to 21.
  EXPECT_EQ(propose(context + 1 - window), reference);
  EXPECT_NE(propose(context + 2 - window), reference);
}

class DraftFit : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        fs::temp_directory_path() / ("kakeya-draft-" + std::to_string(::getpid()) + "-" +
                                     ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    fs::copy(testing::golden_dir("dflash-full") + "/model.safetensors", directory_);
    config_ = testing::read_json(testing::golden_dir("dflash-full") + "/config.json");
  }
  void TearDown() override { fs::remove_all(directory_); }

  void expect_refused(const std::vector<std::string>& words) {
    std::ofstream(directory_ / "config.json") << config_;
    const auto target = testing::load_model(testing::golden_dir("dflash-target"));
    ASSERT_NE(target, nullptr);
    base::ThreadPool pool(1);
    const auto draft = DFlashDraft::load(directory_.string(), *target, pool);
    ASSERT_FALSE(draft.ok());
    for (const std::string& word : words) {
      EXPECT_NE(draft.error().message.find(word), std::string::npos)
          << word << " in: " << draft.error().message;
    }
  }

  fs::path directory_;
  nlohmann::json config_;
};

TEST_F(DraftFit, AnotherHiddenSizeIsRefusedNamingBoth) {
  config_["hidden_size"] = 40;
  expect_refused({"hidden_size", "40", "32"});
}

TEST_F(DraftFit, AnotherVocabularyIsRefusedNamingBoth) {
  config_["vocab_size"] = 72;
  expect_refused({"vocab_size", "72", "64"});
}

TEST_F(DraftFit, AnotherNumberOfTargetLayersIsRefusedNamingBoth) {
  config_["num_target_layers"] = 36;
  expect_refused({"num_target_layers", "36", "5"});
}

TEST_F(DraftFit, ALayerTheTargetLacksIsRefused) {
  config_.erase("num_target_layers");
  config_["dflash_config"]["target_layer_ids"] = {0, 2, 9};
  expect_refused({"target_layer_ids", "9", "5 layers"});
}

TEST_F(DraftFit, TheLastLayerIsRefusedAsATap) {
  config_["dflash_config"]["target_layer_ids"] = {0, 2, 4};
  expect_refused({"target_layer_ids", "4", "0 to 3"});
}

TEST_F(DraftFit, ANumberOfTapsOtherThanThatOfFcIsRefused) {
  config_["dflash_config"]["target_layer_ids"] = {0, 2};
  expect_refused({"fc.weight", "[32, 96]", "[32, 64]"});
}

TEST_F(DraftFit, AMaskIdOutsideTheVocabularyIsRefused) {
  config_["dflash_config"]["mask_token_id"] = 64;
  expect_refused({"mask_token_id", "64"});
}

TEST_F(DraftFit, ATargetIsNoDraft) {
  const auto target = testing::load_model(testing::golden_dir("dflash-target"));
  ASSERT_NE(target, nullptr);
  base::ThreadPool pool(1);
  const auto draft = DFlashDraft::load(testing::golden_dir("qwen3-tied-f32"), *target, pool);
  ASSERT_FALSE(draft.ok());
  EXPECT_NE(draft.error().message.find("expected a DFlash draft"), std::string::npos)
      << draft.error().message;
}

TEST(DFlashDraft, BadProposalsAreErrorsAndLeaveTheCache) {
  const auto target = testing::load_model(testing::golden_dir("dflash-target"));
  const auto draft = testing::load_draft(testing::golden_dir("dflash-full"), *target);
  base::ThreadPool pool(1);
  const Compute compute{&kernels::best(), &pool};
  auto kv = testing::make_cache(draft->kv_shape(), "bf16", 8);
  auto scratch = draft->make_scratch();
  ForwardResult result;
  EXPECT_EQ(draft->propose(compute, 1, 1, *kv, *scratch, result).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(draft->propose(compute, 64, 4, *kv, *scratch, result).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(draft->propose(compute, 1, 9, *kv, *scratch, result).error().code, ErrorCode::kOutOfMemory);
  std::vector<float> taps(3 * 96, 0.5f);
  taps[2 * 96 + 5] = NAN;
  EXPECT_EQ(draft->observe(compute, {taps.data(), 3, 96}, *kv, *scratch).error().code, ErrorCode::kNumeric);
  EXPECT_EQ(kv->length(), 0u);
}

}  // namespace
}  // namespace kakeya::model
