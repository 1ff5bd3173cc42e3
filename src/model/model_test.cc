#include "model/model.h"

#include "kernels/kernels.h"
#include "model/test_support.h"

namespace kakeya::model {
namespace {

namespace fs = std::filesystem;

class ModelGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(ModelGolden, LogitsAndTapsEqualTransformers) {
  const auto model = testing::load_model(testing::golden_dir(GetParam()));
  ASSERT_NE(model, nullptr);
  const testing::Golden golden(testing::golden_dir(GetParam()) + "/golden.safetensors");
  const std::vector<std::size_t> taps = {0};
  base::ThreadPool pool(2);
  for (const kernels::Table* ops : kernels::available()) {
    const Compute compute{ops, &pool};
    float worst = 0, worst_tap = 0;
    for (int i = 0; i < 3; ++i) {
      const std::string index = std::to_string(i);
      const auto ids = golden.ints("ids." + index);
      auto kv = testing::make_cache(model->kv_shape(), "f32", ids.size());
      auto scratch = model->make_scratch();
      ForwardResult result;
      const Status status = model->forward(compute, {ids, kv.get(), LogitRows::kAll, taps}, *scratch, result);
      ASSERT_TRUE(status.ok()) << status.error().message;
      const testing::Matrix logits = golden.floats("logits." + index),
                            states = golden.floats("taps." + index);
      worst = std::max(
          worst, testing::max_difference({result.logits().data, ids.size() * result.vocab}, logits.values));
      worst_tap = std::max(
          worst_tap,
          testing::max_difference({result.taps().data, ids.size() * result.tap_width}, states.values));
    }
    EXPECT_LE(worst, 1e-4f) << ops->name;
    EXPECT_LE(worst_tap, 1e-4f) << ops->name;
    RecordProperty(std::string("max_logit_difference_") + ops->name, std::to_string(worst));
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, ModelGolden,
                         ::testing::Values("qwen3-tied-f32", "qwen3-untied-bf16-sharded", "qwen3-tied-f16",
                                           "qwen3-sliding-bf16", "llama31-bf16"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(Model, ReportsShapeTypeAndParameters) {
  const auto tied = testing::load_model(testing::golden_dir("qwen3-tied-f16"));
  const auto untied = testing::load_model(testing::golden_dir("qwen3-untied-bf16-sharded"));
  ASSERT_TRUE(tied && untied);
  EXPECT_EQ(tied->dtype(), "f16");
  EXPECT_EQ(untied->dtype(), "bf16");
  EXPECT_EQ(tied->head().data, tied->embedding().data);
  EXPECT_NE(untied->head().data, untied->embedding().data);
  std::size_t elements = 0;
  for (const auto& [name, view] : untied->tensors().tensors()) {
    std::size_t n = 1;
    for (const auto d : view.shape) n *= d;
    elements += n;
  }
  EXPECT_EQ(untied->parameters(), elements);
  EXPECT_EQ(untied->kv_shape().head_dim, 128u);
}

TEST(Model, UsesWeightsWhereTheyAreMapped) {
  const auto model = testing::load_model(testing::golden_dir("qwen3-untied-bf16-sharded"));
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->embedding().data, model->tensors().find("model.embed_tokens.weight")->bytes.data());
  EXPECT_EQ(model->head().data, model->tensors().find("lm_head.weight")->bytes.data());
}

// A copy of a golden checkpoint whose file or header a test may damage.
class ModelFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        fs::temp_directory_path() / ("kakeya-model-" + std::to_string(::getpid()) + "-" +
                                     ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    const fs::path source = testing::golden_dir("qwen3-tied-f16");
    fs::copy(source / "config.json", directory_);
    std::ifstream in(source / "model.safetensors", std::ios::binary);
    file_.assign(std::istreambuf_iterator<char>(in), {});
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string header() const { return file_.substr(8, header_size()); }
  // Writes the file with another header, data unchanged.
  void write(const std::string& header) {
    std::ofstream out(directory_ / "model.safetensors", std::ios::binary);
    const std::uint64_t size = header.size();
    out.write(reinterpret_cast<const char*>(&size), 8);
    out << header << file_.substr(8 + header_size());
  }
  static std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
  }
  std::uint64_t header_size() const {
    std::uint64_t size = 0;
    std::memcpy(&size, file_.data(), 8);
    return size;
  }
  void expect_refused(ErrorCode code, const std::vector<std::string>& words) {
    base::ThreadPool pool(1);
    const auto model = Model::load(directory_.string(), pool);
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().code, code) << model.error().message;
    for (const std::string& word : words)
      EXPECT_NE(model.error().message.find(word), std::string::npos) << model.error().message;
  }

  fs::path directory_;
  std::string file_;
};

TEST_F(ModelFiles, AMissingTensorIsNamed) {
  write(replaced(header(), "model.layers.1.mlp.up_proj.weight", "model.layers.1.mlp.xx_proj.weight"));
  expect_refused(ErrorCode::kNotFound, {"model.layers.1.mlp.up_proj.weight", "80, 48"});
}

TEST_F(ModelFiles, AWrongShapeNamesBothShapes) {
  std::string text = header();
  const auto at = text.find("\"model.layers.2.mlp.down_proj.weight\"");
  ASSERT_NE(at, std::string::npos);
  const auto shape = text.find("[48,80]", at);
  ASSERT_NE(shape, std::string::npos);
  write(text.replace(shape, 7, "[80,48]"));
  expect_refused(ErrorCode::kCorruptData, {"model.layers.2.mlp.down_proj.weight", "[80, 48]", "[48, 80]"});
}

TEST_F(ModelFiles, AnotherElementTypeIsRefused) {
  std::string text = header();
  const auto at = text.find("\"model.layers.0.self_attn.q_proj.weight\"");
  ASSERT_NE(at, std::string::npos);
  const auto dtype = text.find("\"F16\"", at);
  ASSERT_NE(dtype, std::string::npos);
  write(text.replace(dtype, 5, "\"I16\""));
  expect_refused(ErrorCode::kUnsupported, {"model.layers.0.self_attn.q_proj.weight", "I16", "BF16"});
}

TEST_F(ModelFiles, NamesWithoutTheModelPrefixAreFound) {
  std::string text = header();
  for (auto at = text.find("\"model."); at != std::string::npos; at = text.find("\"model."))
    text.erase(at + 1, 6);
  write(text);
  base::ThreadPool pool(1);
  EXPECT_TRUE(Model::load(directory_.string(), pool).ok());
}

TEST_F(ModelFiles, UnalignedTensorsGiveTheSameLogits) {
  write(header() + (header_size() % 2 == 0 ? " " : ""));  // now every tensor starts at an odd offset
  const auto odd = testing::load_model(directory_.string());
  const auto even = testing::load_model(testing::golden_dir("qwen3-tied-f16"));
  ASSERT_TRUE(odd && even);
  ASSERT_NE(
      reinterpret_cast<std::uintptr_t>(odd->tensors().find("model.embed_tokens.weight")->bytes.data()) % 2,
      0u);
  base::ThreadPool pool(1);
  const Compute compute{&kernels::best(), &pool};
  std::vector<std::vector<float>> logits;
  for (const Model* model : {odd.get(), even.get()}) {
    auto kv = testing::make_cache(model->kv_shape(), "bf16", 8);
    auto scratch = model->make_scratch();
    ForwardResult result;
    const std::vector<Token> ids = {3, 1, 4, 1, 5};
    ASSERT_TRUE(model->forward(compute, {ids, kv.get(), LogitRows::kAll, {}}, *scratch, result).ok());
    logits.push_back(result.logits_data);
  }
  EXPECT_EQ(logits[0], logits[1]);
}

TEST_F(ModelFiles, ANonFiniteNormWeightIsRefused) {
  const std::string text = header();
  const auto json = nlohmann::json::parse(text);
  const std::size_t at = 8 + header_size() + json["model.norm.weight"]["data_offsets"][0].get<std::size_t>();
  file_[at] = 0x00, file_[at + 1] = 0x7e;  // a half NaN
  write(text);
  expect_refused(ErrorCode::kNumeric, {"model.norm.weight", "element 0"});
}

TEST(Model, RefusesADraftDirectory) {
  base::ThreadPool pool(1);
  const auto model = Model::load(testing::golden_dir("dflash-full"), pool);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(model.error().message.find("draft"), std::string::npos) << model.error().message;
}

class ModelErrors : public ::testing::Test {
 protected:
  std::unique_ptr<const Model> model_ = testing::load_model(testing::golden_dir("qwen3-tied-f32"));
  std::unique_ptr<kv::Cache> kv_ = testing::make_cache(model_->kv_shape(), "bf16", 16);
  base::ThreadPool pool_{1};
  Compute compute_{&kernels::best(), &pool_};
  ScratchPtr scratch_ = model_->make_scratch();
  ForwardResult result_;
};

TEST_F(ModelErrors, ATokenOutsideTheVocabularyIsRefused) {
  for (const Token bad : {-1, 160}) {
    const std::vector<Token> ids = {1, bad};
    const Status status =
        model_->forward(compute_, {ids, kv_.get(), LogitRows::kLast, {}}, *scratch_, result_);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(status.error().message.find(std::to_string(bad)), std::string::npos);
    EXPECT_EQ(kv_->length(), 0u);
  }
}

TEST_F(ModelErrors, ATapBeyondTheLastLayerIsRefused) {
  const std::vector<Token> ids = {1};
  const std::vector<std::size_t> taps = {2};
  const Status status =
      model_->forward(compute_, {ids, kv_.get(), LogitRows::kLast, taps}, *scratch_, result_);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ModelErrors, MoreTokensThanTheCacheHoldsLeaveItAsItWas) {
  const std::vector<Token> ids(17, 1);
  const Status status = model_->forward(compute_, {ids, kv_.get(), LogitRows::kLast, {}}, *scratch_, result_);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(kv_->length(), 0u);
}

TEST_F(ModelErrors, NoTokensIsAnError) {
  const Status status = model_->forward(compute_, {{}, kv_.get(), LogitRows::kLast, {}}, *scratch_, result_);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
}

// The weights are damaged behind the token that is read: NaN in an embedding row, or in the last MLP only.
class ModelNan : public ModelFiles {
 protected:
  void poison(const std::string& tensor, std::size_t element) {
    const auto json = nlohmann::json::parse(header());
    const std::size_t at =
        8 + header_size() + json[tensor]["data_offsets"][0].get<std::size_t>() + 2 * element;
    file_[at] = 0x00, file_[at + 1] = 0x7e;
  }
  void expect_numeric_error_and_clean_cache() {
    write(header());
    const auto model = testing::load_model(directory_.string());
    ASSERT_NE(model, nullptr);
    base::ThreadPool pool(1);
    const Compute compute{&kernels::best(), &pool};
    auto kv = testing::make_cache(model->kv_shape(), "bf16", 16);
    auto scratch = model->make_scratch();
    ForwardResult result;
    const std::vector<Token> good = {1, 2}, bad = {3, 5};
    const Status first = model->forward(compute, {good, kv.get(), LogitRows::kNone, {}}, *scratch, result);
    ASSERT_TRUE(first.ok()) << first.error().message;
    const Status status = model->forward(compute, {bad, kv.get(), LogitRows::kAll, {}}, *scratch, result);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kNumeric) << status.error().message;
    EXPECT_EQ(kv->length(), 2u);
  }
};

TEST_F(ModelNan, InAnEmbeddingRowIsAnErrorOfThePassThatReadsIt) {
  poison("model.embed_tokens.weight", 5 * 48);
  expect_numeric_error_and_clean_cache();
}

TEST_F(ModelNan, InALaterChunkDropsTheChunksBefore) {
  poison("model.embed_tokens.weight", 5 * 48);
  write(header());
  const auto model = testing::load_model(directory_.string());
  ASSERT_NE(model, nullptr);
  base::ThreadPool pool(2);
  auto kv = testing::make_cache(model->kv_shape(), "bf16", 400);
  auto scratch = model->make_scratch();
  ForwardResult result;
  std::vector<Token> ids(300, 1);
  ids[290] = 5;
  const Status status =
      model->forward({&kernels::best(), &pool}, {ids, kv.get(), LogitRows::kLast, {}}, *scratch, result);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kNumeric);
  EXPECT_EQ(kv->length(), 0u);
}

TEST_F(ModelNan, BehindTheLastAttentionIsFoundInTheLogits) {
  poison("model.layers.2.mlp.down_proj.weight", 7);
  expect_numeric_error_and_clean_cache();
}

}  // namespace
}  // namespace kakeya::model
