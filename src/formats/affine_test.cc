// Matrices as MLX itself quantised them (tools/golden/make_affine_golden.py), and files that are wrong.
#include "formats/affine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/half.h"

namespace kakeya::formats {
namespace {

using ::testing::HasSubstr;

const std::string kGolden = std::string(KAKEYA_SOURCE_DIR) + "/tests/golden/affine";
constexpr std::size_t kOut = 6, kIn = 256;

template <class T>
T element(const TensorView& view, std::size_t index) {
  T value;
  std::memcpy(&value, view.bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

float real(const TensorView& view, std::size_t index) {
  if (view.dtype == Dtype::kF32) return element<float>(view, index);
  const auto bits = element<std::uint16_t>(view, index);
  return view.dtype == Dtype::kF16 ? base::f16_to_f32(bits) : base::bf16_to_f32(bits);
}

TEST(Affine, ReadsTheMatricesOfMlx) {
  const auto store = TensorStore::open(kGolden);
  ASSERT_TRUE(store.ok()) << store.error().message;
  const auto config = load_model_config(kGolden);
  ASSERT_TRUE(config.ok()) << config.error().message;
  ASSERT_EQ(config->affine_of.size(), 18u);
  for (const auto& [module, settings] : config->affine_of) {
    SCOPED_TRACE(module);
    const auto found = find_affine(*store, *config, module, kOut, kIn);
    ASSERT_TRUE(found.ok()) << found.error().message;
    ASSERT_TRUE(found->has_value());
    const AffineView& view = **found;
    const auto bits = static_cast<std::size_t>(view.bits);
    EXPECT_EQ(module.substr(0, 2), "b" + std::to_string(bits));
    const TensorView* expected = store->find(module + ".expected");
    ASSERT_NE(expected, nullptr);
    for (std::size_t i = 0; i < kOut * kIn; ++i) {
      const auto word = element<std::uint32_t>(*view.codes, i * bits / 32);
      const auto code = word >> (i * bits % 32) & ((1u << bits) - 1);
      const std::size_t group = i / view.group;
      const float value = real(*view.scales, group) * static_cast<float>(code) + real(*view.biases, group);
      const float want = element<float>(*expected, i);
      ASSERT_NEAR(value, want, 1e-6f * std::max(1e-3f, std::abs(want))) << i;
    }
  }
}

// Directories that exist as long as the test.
class AffineFiles : public ::testing::Test {
 protected:
  AffineFiles()
      : directory_(std::filesystem::temp_directory_path() / ("affine." + std::to_string(getpid()))) {
    std::filesystem::create_directories(directory_);
    config_.affine = AffineConfig{4, 32};
  }
  ~AffineFiles() override { std::filesystem::remove_all(directory_); }

  struct Entry {
    std::string name, dtype;
    std::vector<std::size_t> shape;
  };
  Result<std::optional<AffineView>> find(const std::vector<Entry>& entries, std::size_t out, std::size_t in) {
    nlohmann::ordered_json header;
    std::size_t at = 0;
    for (const Entry& e : entries) {
      std::size_t bytes = e.dtype == "U32" || e.dtype == "F32" ? 4 : 2;
      for (const std::size_t n : e.shape) bytes *= n;
      header[e.name] = {{"dtype", e.dtype}, {"shape", e.shape}, {"data_offsets", {at, at + bytes}}};
      at += bytes;
    }
    const std::string text = header.dump();
    const std::uint64_t length = text.size();
    std::ofstream file(directory_ / "model.safetensors", std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(&length), 8);
    file << text << std::string(at, '\0');
    file.close();
    auto store = TensorStore::open(directory_.string());
    EXPECT_TRUE(store.ok()) << store.error().message;
    store_ = std::make_unique<TensorStore>(std::move(*store));
    return find_affine(*store_, config_, "m", out, in);
  }
  std::string refusal(const std::vector<Entry>& entries) {
    const auto found = find(entries, 2, 64);
    EXPECT_FALSE(found.ok());
    return found.ok() ? "" : found.error().message;
  }

  std::filesystem::path directory_;
  ModelConfig config_;
  std::unique_ptr<TensorStore> store_;
};

TEST_F(AffineFiles, AreFoundWithTheSettingsOfTheirModule) {
  config_.affine_of["m"] = {8, 64};
  const auto found =
      find({{"m.weight", "U32", {2, 16}}, {"m.scales", "F16", {2, 1}}, {"m.biases", "F16", {2, 1}}}, 2, 64);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->bits, 8);
  EXPECT_EQ((*found)->group, 64u);
}

TEST_F(AffineFiles, OfPlainMatricesAreNone) {
  const auto found = find({{"m.weight", "BF16", {2, 64}}}, 2, 64);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->has_value());
}

TEST_F(AffineFiles, ThatAreIncompleteOrOfOtherShapesAreRefused) {
  const Entry weight = {"m.weight", "U32", {2, 8}}, scales = {"m.scales", "BF16", {2, 2}},
              biases = {"m.biases", "BF16", {2, 2}};
  EXPECT_THAT(refusal({weight, biases}),
              HasSubstr("\"m.scales\": found nothing, expected F32, F16 or BF16 [2, 2]"));
  EXPECT_THAT(refusal({weight, scales}), HasSubstr("\"m.biases\": found nothing"));
  EXPECT_THAT(refusal({scales, biases}),
              HasSubstr("\"m.weight\": found nothing, expected U32 [2, 8] (4 bits)"));
  EXPECT_THAT(refusal({{"m.weight", "U32", {2, 16}}, scales, biases}), HasSubstr("found U32 [2, 16]"));
  EXPECT_THAT(refusal({{"m.weight", "BF16", {2, 8}}, scales, biases}), HasSubstr("found BF16 [2, 8]"));
  EXPECT_THAT(refusal({weight, {"m.scales", "BF16", {2, 1}}, biases}), HasSubstr("found BF16 [2, 1]"));
  EXPECT_THAT(refusal({weight, {"m.scales", "U32", {2, 2}}, biases}), HasSubstr("found U32 [2, 2]"));
  EXPECT_THAT(refusal({weight, scales, {"m.biases", "F16", {2, 2}}}),
              HasSubstr("expected BF16 like its scales"));
  config_.affine.reset();
  EXPECT_THAT(refusal({weight, scales, biases}), HasSubstr("config.json has no \"quantization\""));
}

TEST_F(AffineFiles, WithHalfAGroupAtTheEndAreRefused) {
  const auto found =
      find({{"m.weight", "U32", {2, 6}}, {"m.scales", "F16", {2, 2}}, {"m.biases", "F16", {2, 2}}}, 2, 48);
  ASSERT_FALSE(found.ok());
  EXPECT_THAT(found.error().message, HasSubstr("48 inputs, expected a multiple of the group size 32"));
}

Result<ModelConfig> parse_with(const std::string& key, const std::string& value) {
  auto config = nlohmann::json::parse(R"({"architectures":["Qwen3ForCausalLM"],"hidden_size":64,
    "intermediate_size":64,"max_position_embeddings":64,"num_attention_heads":1,"num_hidden_layers":1,"vocab_size":9})");
  config[key] = nlohmann::json::parse(value);
  return parse_model_config("config.json", config.dump());
}

TEST(AffineConfig, IsReadWithItsModules) {
  const auto config = parse_with("quantization", R"({"group_size":128,"bits":8,"mode":"affine",
    "model.embed_tokens":{"group_size":32,"bits":4},"lm_head":false})");
  ASSERT_TRUE(config.ok()) << config.error().message;
  ASSERT_TRUE(config->affine.has_value());
  EXPECT_EQ(config->affine->bits, 8);
  EXPECT_EQ(config->affine->group, 128u);
  ASSERT_EQ(config->affine_of.count("model.embed_tokens"), 1u);
  EXPECT_EQ(config->affine_of.at("model.embed_tokens").bits, 4);
  EXPECT_EQ(config->affine_of.at("model.embed_tokens").group, 32u);
  EXPECT_EQ(config->affine_of.count("lm_head"), 0u);
  const auto old = parse_with("quantization_config", R"({"group_size":64,"bits":4})");
  ASSERT_TRUE(old.ok()) << old.error().message;
  EXPECT_EQ(old->affine->group, 64u);
}

TEST(AffineConfig, OfOtherKindsIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"group_size":64,"bits":2})", "\"quantization.bits\": found 2, expected 4 or 8"},
      {R"({"group_size":64,"bits":3})", "found 3"},
      {R"({"group_size":64,"bits":6})", "found 6"},
      {R"({"group_size":16,"bits":4})", "\"quantization.group_size\": found 16, expected 32, 64 or 128"},
      {R"({"bits":4})", "\"quantization.group_size\": found nothing"},
      {R"({"group_size":32,"bits":4,"mode":"mxfp4"})", "\"quantization.mode\": found \"mxfp4\""},
      {R"({"group_size":64,"bits":4,"m":{"group_size":64,"bits":5}})", "\"quantization.m.bits\": found 5"},
      {R"({"group_size":64,"bits":4,"m":{"bits":4}})", "\"quantization.m.group_size\": found nothing"},
      {"[4]", "expected an object"},
  };
  for (const auto& [value, message] : cases) {
    const auto config = parse_with("quantization", value);
    ASSERT_FALSE(config.ok()) << value;
    EXPECT_THAT(config.error().message, HasSubstr(message));
  }
  const auto other =
      parse_with("quantization_config", R"({"quant_method":"gptq","bits":4,"group_size":128})");
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message, HasSubstr("quant_method"));
}

}  // namespace
}  // namespace kakeya::formats
