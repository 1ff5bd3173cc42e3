#include "model/memory_estimate.h"

#include "model/test_support.h"

namespace kakeya::model {
namespace {

formats::ModelConfig qwen3_8b() {
  formats::ModelConfig c;
  c.vocab_size = 151936, c.hidden_size = 4096, c.intermediate_size = 12288;
  c.layers = 36, c.heads = 32, c.kv_heads = 8, c.head_dim = 128;
  return c;
}

// Published totals: 16381470720 weight bytes for Qwen3-8B, 8030261248 parameters for Llama-3.1-8B, 144 KiB of
// K and V a token for Qwen3-8B.
TEST(MemoryEstimate, KnowsThePublishedSizesOf8BModels) {
  const MemoryEstimate qwen = estimate_memory(qwen3_8b(), kernels::WeightType::kBf16, 16 * 128);
  EXPECT_EQ(qwen.weight_bytes, 16381470720u);
  EXPECT_EQ(qwen.kv_bytes_per_token, 144u * 1024);

  formats::ModelConfig llama = qwen3_8b();
  llama.architecture = formats::Architecture::kLlama;
  llama.vocab_size = 128256, llama.intermediate_size = 14336, llama.layers = 32;
  EXPECT_EQ(estimate_memory(llama, kernels::WeightType::kBf16, 16 * 128).parameters, 8030261248u);
}

TEST(MemoryEstimate, AnEightBillionModelWithFullContextFitsIn24GiB) {
  const MemoryEstimate e = estimate_memory(qwen3_8b(), kernels::WeightType::kBf16, 16 * 128);
  EXPECT_LT(e.weight_bytes + 40960 * e.kv_bytes_per_token + e.scratch_bytes, 24ull << 30);
  EXPECT_LT(e.scratch_bytes, 64u << 20);
}

TEST(MemoryEstimate, CountsWhatLoadedModelsHold) {
  const auto target = testing::load_model(testing::golden_dir("dflash-target"));
  const auto draft = testing::load_draft(testing::golden_dir("dflash-full"), *target);
  EXPECT_EQ(estimate_memory(target->config(), kernels::WeightType::kBf16, 1024).parameters,
            target->parameters());
  EXPECT_EQ(estimate_memory(draft->config(), kernels::WeightType::kBf16, 1024).parameters,
            draft->parameters());
}

}  // namespace
}  // namespace kakeya::model
