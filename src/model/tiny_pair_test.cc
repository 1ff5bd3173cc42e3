// The embedded pair against its golden outputs from PyTorch in float32.
#include "kernels/kernels.h"
#include "model/test_support.h"

namespace kakeya::model {
namespace {

// A two-dimensional or three-dimensional little-endian float32 .npy as [first dimension, rest].
testing::Matrix read_npy(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  testing::Matrix out;
  std::uint16_t header = 0;
  if (file.size() < 10) {
    ADD_FAILURE() << path << " cannot be read";
    return out;
  }
  std::memcpy(&header, file.data() + 8, 2);
  const std::string text = file.substr(10, header);
  EXPECT_NE(text.find("'<f4'"), std::string::npos) << text;
  EXPECT_NE(text.find("'fortran_order': False"), std::string::npos) << text;
  out.rows = std::stoul(text.substr(text.find("'shape': (") + 10));
  out.values.resize((file.size() - 10 - header) / 4);
  std::memcpy(out.values.data(), file.data() + 10 + header, out.values.size() * 4);
  out.cols = out.values.size() / out.rows;
  return out;
}

class TinyPair : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(testing::tiny_dir() + "/golden.json")) {
      GTEST_SKIP() << testing::tiny_dir() << "/golden.json is missing (set KAKEYA_SHARED)";
    }
    golden_ = testing::read_json(testing::tiny_dir() + "/golden.json");
    target_ = testing::load_model(testing::tiny_dir() + "/target");
    ASSERT_NE(target_, nullptr);
    draft_ = testing::load_draft(testing::tiny_dir() + "/draft", *target_);
    ASSERT_NE(draft_, nullptr);
  }

  nlohmann::json golden_;
  std::unique_ptr<const Model> target_;
  std::unique_ptr<const DFlashDraft> draft_;
  base::ThreadPool pool_{2};
  Compute compute_{&kernels::best(), &pool_};
};

std::vector<Token> ids(const nlohmann::json& list) { return list.get<std::vector<Token>>(); }

TEST_F(TinyPair, GreedyIdsAndAcceptanceListsEqualTheGolden) {
  constexpr std::size_t kMaxNew = 128;
  ASSERT_EQ(golden_["cases"].size(), 20u);
  for (std::size_t i = 0; i < golden_["cases"].size(); ++i) {
    const auto& c = golden_["cases"][i];
    if (c["smallest_gap"].get<double>() < 1e-3) continue;  // a near tie: implementations may part there
    SCOPED_TRACE("case " + std::to_string(i));
    auto got =
        testing::decode(compute_, *target_, *draft_, ids(c["prompt_ids"]),
                        {.block = golden_["block_size"], .stop_at = kMaxNew, .stop_ids = {4066, 4064}});
    got.output.resize(std::min(got.output.size(), kMaxNew));
    EXPECT_EQ(got.output, ids(c["dflash_ids"]));
    EXPECT_EQ(got.acceptance_lengths, c["acceptance_lengths"].get<std::vector<int>>());
  }
}

TEST_F(TinyPair, PlainGreedyIdsEqualTheGolden) {
  for (std::size_t i = 0; i < golden_["cases"].size();
       i += 3) {  // seven of the twenty: one row at a time is slow
    const auto& c = golden_["cases"][i];
    if (c["smallest_gap"].get<double>() < 1e-3) continue;
    const auto want = ids(c["plain_ids"]);
    auto kv = testing::make_cache(target_->kv_shape(), "f32", 1024);
    auto scratch = target_->make_scratch();
    ForwardResult result;
    std::vector<Token> next = ids(c["prompt_ids"]), got;
    while (got.size() < want.size()) {
      ASSERT_TRUE(target_->forward(compute_, {next, kv.get(), LogitRows::kLast, {}}, *scratch, result).ok());
      next = {testing::argmax(result.logits().row(0))};
      got.push_back(next[0]);
    }
    EXPECT_EQ(got, want);
  }
}

TEST_F(TinyPair, LogitsTapsAndFirstDraftEqualTheGolden) {
  const auto logits = read_npy(testing::tiny_dir() + "/golden_logits.npy");
  const auto taps = read_npy(testing::tiny_dir() + "/golden_taps.npy");
  const auto drafts = read_npy(testing::tiny_dir() + "/golden_draft_logits.npy");
  std::size_t compared = 0;
  for (const auto& c : golden_["cases"]) {
    if (!c.contains("logits_row")) continue;
    const auto row = c["logits_row"].get<std::size_t>();
    const auto prompt = ids(c["prompt_ids"]);
    auto kv = testing::make_cache(target_->kv_shape(), "f32", 1024);
    auto draft_kv = testing::make_cache(draft_->kv_shape(), "f32", 1024);
    auto scratch = target_->make_scratch(), draft_scratch = draft_->make_scratch();
    ForwardResult result, drafted;
    ASSERT_TRUE(
        target_
            ->forward(compute_, {prompt, kv.get(), LogitRows::kLast, draft_->tap_layers()}, *scratch, result)
            .ok());
    EXPECT_LE(testing::max_difference(result.logits().row(0), logits.row(row)), 1e-3f);
    EXPECT_LE(testing::max_difference(result.taps().row(prompt.size() - 1), taps.row(row)), 1e-3f);
    ASSERT_TRUE(draft_->observe(compute_, result.taps(), *draft_kv, *draft_scratch).ok());
    ASSERT_TRUE(draft_
                    ->propose(compute_, ids(c["plain_ids"])[0], draft_->block_size(), *draft_kv,
                              *draft_scratch, drafted)
                    .ok());
    EXPECT_LE(testing::max_difference({drafted.logits().data, 7 * drafted.vocab}, drafts.row(row)), 1e-3f);
    ++compared;
  }
  EXPECT_EQ(compared, logits.rows);
}

}  // namespace
}  // namespace kakeya::model
