// config.json and generation_config.json of a Hugging Face model directory, checked and typed.
#pragma once
#include <kakeya/options.h>
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kakeya::formats {

enum class Architecture { kQwen3, kLlama, kDFlashDraft };
const char* to_string(Architecture architecture);

// "llama3" RoPE scaling as in Llama-3.1; factor 1 means none.
struct RopeScaling {
  bool llama3 = false;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  double original_max_position = 8192;
};

struct DFlashConfig {
  std::size_t block_size = 0;
  std::vector<std::size_t> target_layer_ids;  // 0-based layers whose output is tapped
  Token mask_token_id = 0;
  std::size_t num_target_layers = 0;  // 0 when the file does not say
};

// MLX affine quantisation ("quantization" in config.json): w = scale * code + bias per group.
struct AffineConfig {
  int bits = 4;            // 4 or 8
  std::size_t group = 64;  // 32, 64 or 128
};

struct ModelConfig {
  Architecture architecture = Architecture::kQwen3;
  std::size_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  std::size_t layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  float rms_norm_eps = 1e-6f;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  std::size_t max_position_embeddings = 0;
  bool tie_word_embeddings = false;
  bool attention_bias = false;
  std::vector<bool> sliding;           // per layer: sliding-window attention
  std::size_t sliding_window = 0;      // 0 when no layer slides
  std::optional<DFlashConfig> dflash;  // set for drafts
  std::optional<AffineConfig> affine;  // the default of quantised matrices
  std::map<std::string, AffineConfig>
      affine_of;  // per module, where it differs: "model.layers.0.mlp.down_proj"
};

// Errors: kCorruptData, kUnsupported (architecture, RoPE type, biases, layer type, hidden_act), each naming
// file, key, found and expected. DFlash2DraftModel and other relatives are refused by name.
// `path` is a directory, or a GGUF file whose metadata then takes the place of config.json.
Result<ModelConfig> load_model_config(const std::string& path);
Result<ModelConfig> parse_model_config(const std::string& name, const std::string& json_text);

struct GenerationConfig {
  std::vector<Token> eos_token_ids;
  SamplingDefaults sampling;  // of a file that says do_sample false: its repetition penalty alone
};

// A missing file gives defaults with eos ids from config.json.
// From a GGUF file: its end-of-text ids and sampling defaults, where present.
Result<GenerationConfig> load_generation_config(const std::string& path);

}  // namespace kakeya::formats
