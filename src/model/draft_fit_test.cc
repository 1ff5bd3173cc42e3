// The check of headers refuses what the loader refuses, in its words; the loader is the oracle.
#include "model/draft_fit.h"

#include <functional>

#include "model/dflash_draft.h"
#include "model/test_support.h"

namespace kakeya::model {
namespace {

namespace fs = std::filesystem;

struct Change {
  const char* name;
  std::function<void(nlohmann::json&)> apply;
};

class DraftHeaders : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("kakeya-fit-" + std::to_string(::getpid()));
    fs::create_directories(directory_);
    fs::copy(testing::golden_dir("dflash-full") + "/model.safetensors", directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }
  // What the loader says, and what the headers say; "" for a pair that fits.
  std::pair<std::string, std::string> words(const std::function<void(nlohmann::json&)>& apply) {
    auto config = testing::read_json(testing::golden_dir("dflash-full") + "/config.json");
    apply(config);
    std::ofstream(directory_ / "config.json") << config;
    const auto target = testing::load_model(testing::golden_dir("dflash-target"));
    base::ThreadPool pool(1);
    const auto loaded = DFlashDraft::load(directory_, *target, pool);
    const auto draft = formats::load_model_config(directory_);
    if (!draft.ok()) return {loaded.ok() ? "" : loaded.error().message, draft.error().message};
    const auto store = formats::TensorStore::open(directory_);
    Status found = check_draft_fit(*draft, target->config(), directory_);
    if (found.ok()) found = check_draft_tensors(*draft, *store, directory_);
    return {loaded.ok() ? "" : loaded.error().message, found.ok() ? "" : found.error().message};
  }
  fs::path directory_;
};

TEST_F(DraftHeaders, SayWhatTheLoaderSays) {
  const std::vector<Change> changes = {
      {"nothing", [](auto&) {}},
      {"hidden_size", [](auto& c) { c["hidden_size"] = 40; }},
      {"vocab_size", [](auto& c) { c["vocab_size"] = 72; }},
      {"num_target_layers", [](auto& c) { c["num_target_layers"] = 36; }},
      {"no such layer",
       [](auto& c) {
         c.erase("num_target_layers");
         c["dflash_config"]["target_layer_ids"] = {0, 2, 9};
       }},
      {"the last layer",
       [](auto& c) {
         c["dflash_config"]["target_layer_ids"] = {0, 2, 4};
       }},
      {"taps and fc",
       [](auto& c) {
         c["dflash_config"]["target_layer_ids"] = {0, 2};
       }},
      {"mask", [](auto& c) { c["dflash_config"]["mask_token_id"] = 64; }},
      {"block", [](auto& c) { c["block_size"] = 1; }},
      {"head_dim", [](auto& c) { c["head_dim"] = 4 * c["head_dim"].template get<int>(); }},
      {"heads", [](auto& c) { c["num_attention_heads"] = 2 * c["num_attention_heads"].template get<int>(); }},
      {"layers",
       [](auto& c) {
         c["num_hidden_layers"] = 7;
         c.erase("layer_types");
       }},
      {"inner", [](auto& c) { c["intermediate_size"] = 8; }},
  };
  for (const Change& change : changes) {
    const auto [loader, headers] = words(change.apply);
    EXPECT_EQ(headers, loader) << change.name;
    EXPECT_EQ(loader.empty(), std::string(change.name) == "nothing") << change.name << ": " << loader;
  }
}

TEST(DraftOddities, NameBothValues) {
  formats::ModelConfig target, draft;
  target.head_dim = draft.head_dim = 128;
  target.rope_theta = draft.rope_theta = 1e6;
  EXPECT_TRUE(draft_oddities(draft, target).empty());
  draft.rope_theta = 10000;
  draft.head_dim = 64;
  const auto found = draft_oddities(draft, target);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NE(found[0].find("10000"), std::string::npos) << found[0];
  EXPECT_NE(found[0].find("1000000"), std::string::npos) << found[0];
  EXPECT_NE(found[1].find("64"), std::string::npos) << found[1];
  draft = target;
  draft.rope_scaling.llama3 = true;
  draft.rope_scaling.factor = 8;
  EXPECT_EQ(draft_oddities(draft, target).size(), 1u);
}

}  // namespace
}  // namespace kakeya::model
