// Names and shapes of a layer's tensors, and which configurations the layers can run.
#include <fmt/format.h>

#include <limits>
#include <utility>

#include "model/layer.h"

namespace kakeya::model {

Result<LayerWeights> load_layer(WeightLoader& loader, const formats::ModelConfig& config,
                                const std::string& prefix, std::size_t layer) {
  const std::string at = fmt::format("{}layers.{}.", prefix, layer);
  const std::size_t hidden = config.hidden_size, q_width = config.heads * config.head_dim;
  const std::size_t kv_width = config.kv_heads * config.head_dim;
  const MatrixUse heads = {.head_dim = config.head_dim};
  LayerWeights w;
  KAKEYA_ASSIGN(w.input_norm, loader.vector(at + "input_layernorm.weight", hidden));
  KAKEYA_ASSIGN(w.q, loader.matrix(at + "self_attn.q_proj.weight", q_width, hidden, heads));
  KAKEYA_ASSIGN(w.k, loader.matrix(at + "self_attn.k_proj.weight", kv_width, hidden, heads));
  KAKEYA_ASSIGN(w.v, loader.matrix(at + "self_attn.v_proj.weight", kv_width, hidden));
  KAKEYA_ASSIGN(w.o, loader.matrix(at + "self_attn.o_proj.weight", hidden, q_width));
  if (config.architecture != formats::Architecture::kLlama) {
    KAKEYA_ASSIGN(w.q_norm, loader.vector(at + "self_attn.q_norm.weight", config.head_dim));
    KAKEYA_ASSIGN(w.k_norm, loader.vector(at + "self_attn.k_norm.weight", config.head_dim));
  }
  KAKEYA_ASSIGN(w.post_norm, loader.vector(at + "post_attention_layernorm.weight", hidden));
  KAKEYA_ASSIGN(w.gate, loader.matrix(at + "mlp.gate_proj.weight", config.intermediate_size, hidden));
  KAKEYA_ASSIGN(w.up, loader.matrix(at + "mlp.up_proj.weight", config.intermediate_size, hidden));
  KAKEYA_ASSIGN(w.down, loader.matrix(at + "mlp.down_proj.weight", hidden, config.intermediate_size));
  return w;
}

Status check_config(const formats::ModelConfig& c, const std::string& what) {
  for (const auto& [key, value] : {std::pair{"vocab_size", c.vocab_size},
                                   {"hidden_size", c.hidden_size},
                                   {"num_hidden_layers", c.layers},
                                   {"intermediate_size", c.intermediate_size},
                                   {"num_attention_heads", c.heads},
                                   {"num_key_value_heads", c.kv_heads},
                                   {"head_dim", c.head_dim}}) {
    if (value == 0 || value > std::numeric_limits<std::int32_t>::max()) {
      return corrupt_data(
          fmt::format("{}: config.json: {} is {}, expected 1 to 2147483647", what, key, value));
    }
  }
  if (c.heads % c.kv_heads != 0) {
    return corrupt_data(
        fmt::format("{}: config.json: num_attention_heads {} is no multiple of num_key_value_heads {}", what,
                    c.heads, c.kv_heads));
  }
  if (c.head_dim % 2 != 0) {
    return unsupported(
        fmt::format("{}: config.json: head_dim {} is odd, RoPE needs an even one", what, c.head_dim));
  }
  if (c.attention_bias) {
    return unsupported(fmt::format("{}: config.json: attention_bias is true, only false is supported", what));
  }
  bool any_sliding = false;
  for (const bool s : c.sliding) any_sliding = any_sliding || s;
  if (any_sliding && (c.sliding.size() != c.layers || c.sliding_window == 0)) {
    return corrupt_data(
        fmt::format("{}: config.json: {} layer types and sliding_window {}, expected {} and at least 1", what,
                    c.sliding.size(), c.sliding_window, c.layers));
  }
  return {};
}

}  // namespace kakeya::model
