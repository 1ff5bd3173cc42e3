// Metadata of models. Expected values: what llama.cpp's converter writes for the same config.json.
#include "formats/gguf_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "formats/gguf_test_support.h"

namespace kakeya::formats {
namespace {

using Bytes = GgufBytes;

Result<ModelConfig> config_of(const Bytes& bytes) {
  const std::string file_bytes = bytes.build();
  const auto file = parse_gguf("x.gguf", as_span(file_bytes));
  if (!file.ok()) return file.error();
  return gguf_model_config(*file);
}

void expect_refused(const Bytes& bytes, const std::string& key) {
  const auto config = config_of(bytes);
  ASSERT_FALSE(config.ok()) << key;
  EXPECT_NE(config.error().message.find("x.gguf"), std::string::npos) << config.error().message;
  EXPECT_NE(config.error().message.find(key), std::string::npos) << config.error().message;
}

Bytes with_embedding(Bytes bytes, std::uint64_t rows = 10) {
  return bytes.next_tensor("token_embd.weight", {64, rows}, 0, 64 * rows * 4);
}
Bytes qwen3() { return with_embedding(small_model("qwen3")); }
Bytes draft() {
  Bytes out = small_model("dflash");
  return out.u32("dflash.block_size", 16).strings("tokenizer.ggml.tokens", {"a", "b", "c", "d"});
}

TEST(GgufConfig, SizesOfATargetAreRead) {
  const auto config = config_of(qwen3().f32("qwen3.rope.freq_base", 1e6f));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->architecture, Architecture::kQwen3);
  EXPECT_EQ(config->layers, 2u);
  EXPECT_EQ(config->hidden_size, 64u);
  EXPECT_EQ(config->intermediate_size, 128u);
  EXPECT_EQ(config->heads, 4u);
  EXPECT_EQ(config->kv_heads, 2u);
  EXPECT_EQ(config->head_dim, 32u);
  EXPECT_EQ(config->vocab_size, 10u);
  EXPECT_EQ(config->max_position_embeddings, 4096u);
  EXPECT_EQ(config->rms_norm_eps, 1e-6f);
  EXPECT_EQ(config->rope_theta, 1e6);
  EXPECT_TRUE(config->tie_word_embeddings);
  EXPECT_FALSE(config->rope_scaling.llama3);
  EXPECT_EQ(config->sliding, std::vector<bool>(2, false));
  const auto untied = config_of(qwen3().next_tensor("output.weight", {64, 10}, 0, 2560));
  ASSERT_TRUE(untied.ok()) << untied.error().message;
  EXPECT_FALSE(untied->tie_word_embeddings);
}

TEST(GgufConfig, WhatWouldChangeTheArithmeticIsRefused) {
  expect_refused(with_embedding(small_model("qwen3moe")), "general.architecture");
  expect_refused(qwen3().u32("qwen3.expert_count", 8), "qwen3.expert_count");
  expect_refused(qwen3().f32("qwen3.logit_scale", 0.5f), "qwen3.logit_scale");
  expect_refused(qwen3().string("qwen3.rope.scaling.type", "yarn"), "qwen3.rope.scaling.type");
  expect_refused(qwen3().string("qwen3.rope.scaling.type", "linear"), "qwen3.rope.scaling.type");
  expect_refused(qwen3().f32("qwen3.rope.scaling.factor", 4), "qwen3.rope.scaling.factor");
  expect_refused(qwen3().u32("qwen3.attention.value_length", 64), "qwen3.attention.value_length");
  expect_refused(qwen3().u32("qwen3.rope.dimension_count", 16), "qwen3.rope.dimension_count");
  expect_refused(qwen3().next_tensor("blk.0.attn_q.bias", {32}, 0, 128), "blk.0.attn_q.bias");
  expect_refused(qwen3().next_tensor("fc.weight", {32}, 0, 128), "fc.weight");
}

TEST(GgufConfig, ContradictionsAreNamed) {
  expect_refused(qwen3().u32("qwen3.vocab_size", 11), "qwen3.vocab_size");
  expect_refused(qwen3().strings("tokenizer.ggml.tokens", {"a"}), "tokenizer.ggml.tokens");
  expect_refused(small_model("qwen3"), "token_embd.weight");
  Bytes heads;
  heads.string("general.architecture", "qwen3").u32("qwen3.block_count", 1).u32("qwen3.context_length", 8);
  heads.u32("qwen3.embedding_length", 64).u32("qwen3.feed_forward_length", 8);
  expect_refused(with_embedding(heads), "qwen3.attention.head_count");
  heads.list<std::uint32_t>("qwen3.attention.head_count", 4, {4, 4});
  expect_refused(with_embedding(heads), "qwen3.attention.head_count");
  expect_refused(with_embedding(Bytes()), "general.architecture");
}

TEST(GgufConfig, TargetLayersAreOneMoreThanTheIdsOfTheCheckpoint) {
  const auto config = config_of(draft()
                                    .list<std::uint32_t>("dflash.target_layers", 4, {2, 10, 18})
                                    .u32("tokenizer.ggml.mask_token_id", 3));
  ASSERT_TRUE(config.ok()) << config.error().message;
  ASSERT_TRUE(config->dflash.has_value());
  EXPECT_EQ(config->dflash->target_layer_ids, (std::vector<std::size_t>{1, 9, 17}));
  EXPECT_EQ(config->dflash->block_size, 16u);
  EXPECT_EQ(config->dflash->mask_token_id, 3);
  EXPECT_EQ(config->vocab_size, 4u);
  EXPECT_FALSE(config->tie_word_embeddings);
}

TEST(GgufConfig, OlderDraftsCarryTheIdsThemselves) {
  const auto config = config_of(
      draft().list<std::int32_t>("dflash.target_layer_ids", 5, {1, 9, 17}).u32("dflash.mask_token_id", 2));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->dflash->target_layer_ids, (std::vector<std::size_t>{1, 9, 17}));
  EXPECT_EQ(config->dflash->mask_token_id, 2);
}

TEST(GgufConfig, DraftsThatCannotBeAreNamed) {
  expect_refused(draft().u32("tokenizer.ggml.mask_token_id", 3), "dflash.target_layers");
  const auto taps = [](const std::vector<std::int32_t>& ids) {
    return draft().list<std::int32_t>("dflash.target_layers", 5, ids);
  };
  expect_refused(taps({0, 1}).u32("tokenizer.ggml.mask_token_id", 3), "dflash.target_layers");
  expect_refused(taps({-1}).u32("tokenizer.ggml.mask_token_id", 3), "dflash.target_layers");
  expect_refused(taps({4, 4}).u32("tokenizer.ggml.mask_token_id", 3), "dflash.target_layers");
  expect_refused(taps({1}), "mask_token_id");
  expect_refused(taps({1}).u32("tokenizer.ggml.mask_token_id", 4), "mask_token_id");
  expect_refused(taps({1}).u32("tokenizer.ggml.mask_token_id", 3).u32("dflash.selector_rank", 8),
                 "dflash.selector_rank");
  expect_refused(taps({1}).u32("tokenizer.ggml.mask_token_id", 3).boolean("dflash.attention.causal", true),
                 "dflash.attention.causal");
  expect_refused(with_embedding(small_model("dflash-draft")), "general.architecture");
}

TEST(GgufConfig, SlidingLayersOfADraftFollowThePattern) {
  Bytes bytes =
      draft().list<std::uint32_t>("dflash.target_layers", 4, {1}).u32("tokenizer.ggml.mask_token_id", 0);
  bytes.u32("dflash.attention.sliding_window", 2048);
  expect_refused(bytes, "dflash.attention.sliding_window_pattern");
  const auto config =
      config_of(bytes.list<std::uint8_t>("dflash.attention.sliding_window_pattern", 7, {1, 0}));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->sliding, (std::vector<bool>{true, false}));
  EXPECT_EQ(config->sliding_window, 2048u);
}

// As in llama.cpp's converter for Llama-3.1: factor 8, low 1, high 4, 8192 positions, theta 500000.
std::vector<float> llama31_divisors(double low) {
  std::vector<float> out;
  for (int i = 0; i < 16; ++i) {
    const double wavelen = 2 * std::numbers::pi * std::pow(500000.0, i / 16.0);
    if (wavelen < 8192 / 4.0) {
      out.push_back(1);
    } else if (wavelen > 8192 / low) {
      out.push_back(8);
    } else {
      const double smooth = (8192 / wavelen - low) / (4 - low);
      out.push_back(static_cast<float>(1 / ((1 - smooth) / 8 + smooth)));
    }
  }
  return out;
}

Bytes llama(const std::vector<float>& divisors) {
  Bytes bytes = small_model("llama").f32("llama.rope.freq_base", 500000);
  bytes.next_tensor("rope_freqs.weight", {divisors.size()}, 0, divisors.size() * 4);
  bytes.data.assign(reinterpret_cast<const char*>(divisors.data()), divisors.size() * 4);
  return with_embedding(bytes);
}

TEST(GgufConfig, Llama31ScalingIsFoundAgainFromItsDivisors) {
  const auto config = config_of(llama(llama31_divisors(1)));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->rope_scaling.llama3);
  EXPECT_EQ(config->rope_scaling.factor, 8);
  EXPECT_EQ(config->rope_scaling.low_freq_factor, 1);
  EXPECT_EQ(config->rope_scaling.high_freq_factor, 4);
  EXPECT_EQ(config->rope_scaling.original_max_position, 8192);
  const auto none = config_of(llama(std::vector<float>(16, 1.0f)));
  ASSERT_TRUE(none.ok()) << none.error().message;
  EXPECT_FALSE(none->rope_scaling.llama3);
}

TEST(GgufConfig, OtherDivisorsAreRefused) {
  expect_refused(llama(llama31_divisors(2)), "rope_freqs.weight");
  expect_refused(llama(std::vector<float>(16, 4.0f)), "rope_freqs.weight");
  expect_refused(llama(std::vector<float>(16, std::nanf(""))), "rope_freqs.weight");
  expect_refused(llama(std::vector<float>(8, 1.0f)), "rope_freqs.weight");
}

TEST(GgufConfig, EndsOfTextAreTheStatedIdsAndTheKnownControlTokens) {
  Bytes bytes;
  bytes.strings("tokenizer.ggml.tokens", {"a", "<|endoftext|>", "<|im_end|>", "<|eot_id|>"});
  bytes.list<std::int32_t>("tokenizer.ggml.token_type", 5, {1, 3, 3, 1})
      .u32("tokenizer.ggml.eos_token_id", 2);
  bytes.f32("general.sampling.temp", 0.5f).u32("general.sampling.top_k", 20);
  bytes.f32("general.sampling.penalty_repeat", 1.5f);
  const std::string file_bytes = bytes.build();
  const auto file = parse_gguf("x.gguf", as_span(file_bytes));
  ASSERT_TRUE(file.ok());
  const auto generation = gguf_generation_config(*file);
  ASSERT_TRUE(generation.ok()) << generation.error().message;
  EXPECT_EQ(generation->eos_token_ids, (std::vector<Token>{2, 1}));  // id 3 is ordinary text here
  EXPECT_EQ(generation->sampling.temperature, 0.5f);
  EXPECT_EQ(generation->sampling.top_k, 20);
  EXPECT_EQ(generation->sampling.repetition_penalty, 1.5f);
  EXPECT_FALSE(generation->sampling.top_p.has_value());
}

}  // namespace
}  // namespace kakeya::formats
