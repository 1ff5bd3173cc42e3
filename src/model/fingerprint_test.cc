// Fingerprints: pinned for the embedded pair by a script that knows only the page, and told apart by every
// part.
#include "model/fingerprint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "model/test_support.h"

namespace kakeya::model {
namespace {

namespace fs = std::filesystem;

formats::TensorStore open(const std::string& path) {
  auto store = formats::TensorStore::open(path);
  EXPECT_TRUE(store.ok()) << store.error().message;
  return std::move(store).value();
}

// A model directory with one tensor "w" of bytes, made anew at every call.
class OneTensor {
 public:
  OneTensor() : folder_(fs::temp_directory_path() / ("kakeya_fingerprint_test_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~OneTensor() { fs::remove_all(folder_); }
  std::string fingerprint(const std::string& name, const std::string& dtype, const std::string& shape,
                          const std::string& data) const {
    std::string header = R"({")" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape +
                         R"(,"data_offsets":[0,)" + std::to_string(data.size()) + "]}}";
    const std::uint64_t size = header.size();
    std::ofstream file(folder_ / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), sizeof size) << header << data;
    file.close();
    return model_fingerprint({}, open(folder_.string()), folder_.string());
  }

 private:
  fs::path folder_;
};

TEST(Fingerprint, OfTheEmbeddedPairIsThatOfTheScript) {
  const std::pair<const char*, const char*> expected[] = {
      {"/target", "b194acdfced2ad36f060bfc612222ad40040160f7d5bee385fafb1ed6ec012d5"},
      {"/draft", "86f30c7ceadc4fb711250c34d0e231204ad4f8b1e7053faecd5597edf60c3a09"}};
  for (const auto& [part, fingerprint] : expected) {
    const std::string path = testing::tiny_dir() + part;
    const auto config = formats::load_model_config(path);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(model_fingerprint(*config, open(path), path), fingerprint) << part;
    EXPECT_EQ(model_fingerprint(*config, open(path), "elsewhere"), fingerprint) << part;
  }
}

TEST(Fingerprint, DiffersWithEveryConfigurationValueThatShapesAResult) {
  formats::ModelConfig plain;
  plain.sliding = {false, true};
  plain.sliding_window = 9;
  plain.affine.emplace();
  plain.affine_of["a"] = {};
  plain.dflash.emplace().target_layer_ids = {1, 2};
  using Change = std::function<void(formats::ModelConfig&)>;
  const Change changes[] = {
      [](auto&) {},
      [](auto& c) { c.architecture = formats::Architecture::kLlama; },
      [](auto& c) { c.vocab_size = 1; },
      [](auto& c) { c.hidden_size = 1; },
      [](auto& c) { c.intermediate_size = 1; },
      [](auto& c) { c.layers = 1; },
      [](auto& c) { c.heads = 1; },
      [](auto& c) { c.kv_heads = 1; },
      [](auto& c) { c.head_dim = 1; },
      [](auto& c) { c.rms_norm_eps = std::nextafter(c.rms_norm_eps, 1.0f); },
      [](auto& c) { c.rope_theta = std::nextafter(c.rope_theta, 1.0); },
      [](auto& c) { c.rope_scaling.llama3 = true; },
      [](auto& c) { c.rope_scaling.factor = 2; },
      [](auto& c) { c.rope_scaling.low_freq_factor = 2; },
      [](auto& c) { c.rope_scaling.high_freq_factor = 2; },
      [](auto& c) { c.rope_scaling.original_max_position = 2; },
      [](auto& c) { c.tie_word_embeddings = true; },
      [](auto& c) { c.attention_bias = true; },
      [](auto& c) { c.sliding[0] = true; },
      [](auto& c) { c.sliding_window = 10; },
      [](auto& c) { c.affine->bits = 8; },
      [](auto& c) { c.affine->group = 32; },
      [](auto& c) { c.affine.reset(); },
      [](auto& c) { c.affine_of["a"].bits = 8; },
      [](auto& c) { c.affine_of["b"] = {}; },
      [](auto& c) { c.dflash->block_size = 4; },
      [](auto& c) { c.dflash->mask_token_id = 4; },
      [](auto& c) { c.dflash->num_target_layers = 4; },
      [](auto& c) { c.dflash->target_layer_ids[1] = 3; },
      [](auto& c) { c.dflash.reset(); },
  };
  std::set<std::string> seen;
  for (const Change& change : changes) {
    formats::ModelConfig config = plain;
    change(config);
    seen.insert(model_fingerprint(config, {}, "random:x"));
  }
  EXPECT_EQ(seen.size(), std::size(changes));
}

TEST(Fingerprint, OfRandomWeightsIsToldByTheirName) {
  EXPECT_EQ(model_fingerprint({}, {}, "random:qwen3-8b"), model_fingerprint({}, {}, "random:qwen3-8b"));
  EXPECT_NE(model_fingerprint({}, {}, "random:qwen3-8b"), model_fingerprint({}, {}, "random:qwen3-8b:q8_0"));
}

TEST(Fingerprint, DiffersWithNameDtypeShapeAndBytesOfATensor) {
  const OneTensor model;
  const std::string data(64, 'x');
  std::string other = data;
  other[63] = 'y';
  const std::set<std::string> seen = {
      model.fingerprint("w", "F32", "[4,4]", data),  model.fingerprint("v", "F32", "[4,4]", data),
      model.fingerprint("w", "BF16", "[4,8]", data), model.fingerprint("w", "F16", "[4,8]", data),
      model.fingerprint("w", "F32", "[2,8]", data),  model.fingerprint("w", "F32", "[4,4]", other)};
  EXPECT_EQ(seen.size(), 6u);
  EXPECT_EQ(model.fingerprint("w", "F32", "[4,4]", data), model.fingerprint("w", "F32", "[4,4]", data));
}

// 8192 bytes: pieces of 64 start at i * 8128 / 63, so the third at 258; 64 to 128 lies between the first two.
TEST(Fingerprint, SeesTheEndsAndTheSamplesOfALargeTensor) {
  const OneTensor model;
  const auto with = [&](std::size_t changed) {
    std::string data(8192, 'x');
    data[changed] = 'y';
    return model.fingerprint("w", "F32", "[2048]", data);
  };
  const std::string plain = model.fingerprint("w", "F32", "[2048]", std::string(8192, 'x'));
  for (const std::size_t seen : {0, 63, 129, 258, 8128, 8191}) EXPECT_NE(with(seen), plain) << seen;
  EXPECT_EQ(with(64), plain);
  EXPECT_EQ(with(128), plain);
}

}  // namespace
}  // namespace kakeya::model
