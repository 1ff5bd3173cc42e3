#include "formats/gguf_names.h"

#include <gtest/gtest.h>

namespace kakeya::formats {
namespace {

TEST(GgufNames, AreThoseOfLlamaCpp) {
  const std::pair<const char*, const char*> pairs[] = {
      {"model.embed_tokens.weight", "token_embd.weight"},
      {"model.norm.weight", "output_norm.weight"},
      {"lm_head.weight", "output.weight"},
      {"fc.weight", "fc.weight"},
      {"hidden_norm.weight", "enc.output_norm.weight"},
      {"model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"},
      {"model.layers.35.self_attn.q_proj.weight", "blk.35.attn_q.weight"},
      {"model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight"},
      {"model.layers.1.self_attn.v_proj.weight", "blk.1.attn_v.weight"},
      {"model.layers.1.self_attn.o_proj.weight", "blk.1.attn_output.weight"},
      {"model.layers.1.self_attn.q_norm.weight", "blk.1.attn_q_norm.weight"},
      {"model.layers.1.self_attn.k_norm.weight", "blk.1.attn_k_norm.weight"},
      {"model.layers.1.post_attention_layernorm.weight", "blk.1.ffn_norm.weight"},
      {"model.layers.1.mlp.gate_proj.weight", "blk.1.ffn_gate.weight"},
      {"model.layers.1.mlp.up_proj.weight", "blk.1.ffn_up.weight"},
      {"model.layers.101.mlp.down_proj.weight", "blk.101.ffn_down.weight"},
  };
  for (const auto& [hugging_face, gguf] : pairs) {
    EXPECT_EQ(gguf_tensor_name(hugging_face), gguf);
    EXPECT_EQ(hugging_face_tensor_name(gguf), hugging_face);
  }
  EXPECT_EQ(gguf_tensor_name("layers.4.mlp.up_proj.weight"), "blk.4.ffn_up.weight");
  EXPECT_EQ(gguf_tensor_name("norm.weight"), "output_norm.weight");
}

TEST(GgufNames, OfUnknownTensorsAreNone) {
  for (const char* name :
       {"", "weight", ".weight", "model.weight", "model.layers.weight", "model.layers.1.weight",
        "model.layers.01.mlp.up_proj.weight", "model.layers..mlp.up_proj.weight",
        "model.layers.12345.mlp.up_proj.weight", "model.layers.-1.mlp.up_proj.weight",
        "model.layers.1.mlp.up_proj.bias", "model.layers.1.mlp.up_proj"}) {
    EXPECT_EQ(gguf_tensor_name(name), std::nullopt) << name;
  }
  for (const char* name :
       {"", "rope_freqs.weight", "blk.1.attn_q.bias", "blk.x.attn_q.weight", "blk.1.attn_qkv.weight"}) {
    EXPECT_EQ(hugging_face_tensor_name(name), std::nullopt) << name;
  }
}

TEST(GgufNames, TypesAreFoundByNumberAndDtype) {
  for (const GgmlType& type : ggml_types()) {
    EXPECT_EQ(find_ggml_type(type.number), &type);
    EXPECT_EQ(find_ggml_type(type.dtype), &type);
  }
  EXPECT_EQ(find_ggml_type(std::uint32_t{3}), nullptr);
  EXPECT_EQ(find_ggml_type(Dtype::kU32), nullptr);
}

}  // namespace
}  // namespace kakeya::formats
