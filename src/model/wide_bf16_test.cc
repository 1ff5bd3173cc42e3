// bf16 matrices as wide as those of published models, which are multiplied by bf16 dot products where the CPU
// has them; the matrices of the golden checkpoints are too small for that.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/half.h"
#include "kernels/split_rows.h"
#include "model/scratch.h"
#include "model/test_support.h"

namespace kakeya::model {
namespace {

constexpr std::size_t kHidden = 1024, kWidth = 1056, kHeads = 8, kKvHeads = 2, kHeadDim = 128, kVocab = 100;

// One layer of random weights as a directory.
class WideModel : public ::testing::Test {
 protected:
  WideModel() {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "config.json") << nlohmann::json{{"architectures", {"Qwen3ForCausalLM"}},
                                                             {"model_type", "qwen3"},
                                                             {"vocab_size", kVocab},
                                                             {"hidden_size", kHidden},
                                                             {"intermediate_size", kWidth},
                                                             {"num_hidden_layers", 1},
                                                             {"num_attention_heads", kHeads},
                                                             {"num_key_value_heads", kKvHeads},
                                                             {"head_dim", kHeadDim},
                                                             {"rms_norm_eps", 1e-6},
                                                             {"rope_theta", 1e6},
                                                             {"max_position_embeddings", 512},
                                                             {"tie_word_embeddings", true},
                                                             {"torch_dtype", "bfloat16"}};
    const std::string layer = "model.layers.0.";
    add("model.embed_tokens.weight", {kVocab, kHidden});
    add("model.norm.weight", {kHidden});
    add(layer + "input_layernorm.weight", {kHidden});
    add(layer + "post_attention_layernorm.weight", {kHidden});
    add(layer + "self_attn.q_norm.weight", {kHeadDim});
    add(layer + "self_attn.k_norm.weight", {kHeadDim});
    add(layer + "self_attn.q_proj.weight", {kHeads * kHeadDim, kHidden});
    add(layer + "self_attn.k_proj.weight", {kKvHeads * kHeadDim, kHidden});
    add(layer + "self_attn.v_proj.weight", {kKvHeads * kHeadDim, kHidden});
    add(layer + "self_attn.o_proj.weight", {kHidden, kHeads * kHeadDim});
    add(layer + "mlp.gate_proj.weight", {kWidth, kHidden});
    add(layer + "mlp.up_proj.weight", {kWidth, kHidden});
    add(layer + "mlp.down_proj.weight", {kHidden, kWidth});
    const std::string header = header_.dump();
    const std::uint64_t size = header.size();
    std::ofstream file(folder_ / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), sizeof size);
    file << header;
    file.write(reinterpret_cast<const char*>(data_.data()), static_cast<std::streamsize>(2 * data_.size()));
  }
  ~WideModel() override { std::filesystem::remove_all(folder_); }

  // KV in f32: where a value is near the middle of two bf16 numbers, variants would store different ones.
  std::vector<float> logits(const Model& model, const Compute& compute, std::size_t step) const {
    auto kv = testing::make_cache(model.kv_shape(), "f32", ids_.size());
    auto scratch = model.make_scratch();
    ForwardResult result;
    std::vector<float> out;
    for (std::size_t at = 0; at < ids_.size(); at += step) {
      const auto piece = std::span<const Token>(ids_).subspan(at, std::min(step, ids_.size() - at));
      EXPECT_TRUE(model.forward(compute, {piece, kv.get(), LogitRows::kAll, {}}, *scratch, result).ok());
      const Rows<const float> rows = result.logits();
      out.insert(out.end(), rows.data, rows.data + rows.rows * rows.cols);
    }
    return out;
  }

  // Tests run side by side in several processes.
  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / ("kakeya-wide-bf16-" + std::to_string(getpid()));
  const std::vector<Token> ids_ = testing::random_tokens(75, kVocab, 21);

 private:
  // A vector is ones, a matrix Gaussian with deviation cols^-1/2.
  void add(const std::string& name, const std::vector<std::size_t>& shape) {
    const std::size_t n = std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
    std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(shape.back())));
    header_[name] = {
        {"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {2 * data_.size(), 2 * (data_.size() + n)}}};
    for (std::size_t i = 0; i < n; ++i) {
      data_.push_back(base::f32_to_bf16(shape.size() == 1 ? 1.0f : normal(random_)));
    }
  }

  std::mt19937 random_{20};
  nlohmann::json header_ = nlohmann::json::object();
  std::vector<std::uint16_t> data_;
};

TEST_F(WideModel, PiecesAndThreadsChangeNoBit) {
  const auto model = testing::load_model(folder_.string());
  ASSERT_NE(model, nullptr);
  base::ThreadPool one(1), three(3);
  const std::vector<float> whole = logits(*model, {&kernels::best(), &one}, ids_.size());
  for (const std::size_t step : {1u, 8u, 20u, 37u, 75u}) {
    EXPECT_TRUE(logits(*model, {&kernels::best(), &three}, step) == whole) << step;
  }
}

TEST_F(WideModel, EveryVariantHasTheLogitsOfScalar) {
  const auto model = testing::load_model(folder_.string());
  ASSERT_NE(model, nullptr);
  base::ThreadPool two(2);
  const std::vector<float> expected = logits(*model, {kernels::find("scalar"), &two}, ids_.size());
  for (const kernels::Table* ops : kernels::available()) {
    const float worst = testing::max_difference(logits(*model, {ops, &two}, ids_.size()), expected);
    EXPECT_LE(worst, 2e-5f) << ops->name;
  }
  if (kernels::find("amx") != nullptr) {
    EXPECT_TRUE(kernels::takes_split_rows(*kernels::find("amx"), model->head()));
  }
}

}  // namespace
}  // namespace kakeya::model
