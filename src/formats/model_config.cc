#include "formats/model_config.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/affine_config.h"
#include "formats/config_limits.h"
#include "formats/dflash_config.h"
#include "formats/gguf.h"
#include "formats/gguf_config.h"
#include "formats/sampling_defaults.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{4} << 20;

Result<Architecture> read_architecture(const ConfigReader& reader) {
  constexpr const char* kExpected = "Qwen3ForCausalLM, LlamaForCausalLM or DFlashDraftModel";
  const json* list = reader.find("architectures");
  if (list == nullptr) return reader.missing("architectures", kExpected);
  if (!list->is_array() || list->size() != 1 || !list->front().is_string()) {
    return reader.corrupt("architectures", describe(*list), "a list of one name");
  }
  const auto& name = list->front().get_ref<const std::string&>();
  if (name == "Qwen3ForCausalLM") return Architecture::kQwen3;
  if (name == "LlamaForCausalLM") return Architecture::kLlama;
  if (name == "DFlashDraftModel") return Architecture::kDFlashDraft;
  return reader.refuse("architectures", describe(list->front()), kExpected);
}

Status read_sizes(const ConfigReader& reader, ModelConfig& config) {
  KAKEYA_ASSIGN(config.vocab_size, reader.uint("vocab_size", kVocabRange));
  KAKEYA_ASSIGN(config.hidden_size, reader.uint("hidden_size", kHiddenRange));
  KAKEYA_ASSIGN(config.intermediate_size, reader.uint("intermediate_size", kIntermediateRange));
  KAKEYA_ASSIGN(config.layers, reader.uint("num_hidden_layers", kLayerRange));
  KAKEYA_ASSIGN(config.heads, reader.uint("num_attention_heads", kHeadRange));
  KAKEYA_ASSIGN(config.kv_heads, reader.uint_or("num_key_value_heads", kHeadRange, config.heads));
  if (config.heads % config.kv_heads != 0) {
    return reader.corrupt("num_key_value_heads", std::to_string(config.kv_heads),
                          "a divisor of num_attention_heads " + std::to_string(config.heads));
  }
  if (!reader.has("head_dim") && config.hidden_size % config.heads != 0) {
    return reader.corrupt(
        "hidden_size", std::to_string(config.hidden_size),
        "a multiple of num_attention_heads " + std::to_string(config.heads) + " when head_dim is not given");
  }
  const std::size_t from_hidden = config.hidden_size / config.heads;
  KAKEYA_ASSIGN(config.head_dim, reader.uint_or("head_dim", kHeadDimRange, from_hidden));
  if (config.head_dim < 2 || config.head_dim > 1024 || config.head_dim % 2 != 0) {
    return reader.corrupt("head_dim", std::to_string(config.head_dim), "an even number from 2 to 1024");
  }
  KAKEYA_ASSIGN(config.max_position_embeddings, reader.uint("max_position_embeddings", kPositionRange));
  KAKEYA_ASSIGN(const double eps, reader.real_or("rms_norm_eps", kEpsRange, 1e-6));
  config.rms_norm_eps = static_cast<float>(eps);
  KAKEYA_ASSIGN(config.tie_word_embeddings, reader.boolean_or("tie_word_embeddings", false));
  return {};
}

// Things that change the arithmetic and that we do not have.
Status refuse_variants(const ConfigReader& reader, ModelConfig& config) {
  if (const json* act = reader.find("hidden_act"); act != nullptr && *act != "silu") {
    return reader.refuse("hidden_act", describe(*act), "\"silu\"");
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    KAKEYA_ASSIGN(const bool bias, reader.boolean_or(key, false));
    if (bias) return reader.refuse(key, "true", "false: biases are not supported");
  }
  config.attention_bias = false;
  return {};
}

Status read_llama3_scaling(const ConfigReader& rope, RopeScaling& out) {
  out.llama3 = true;
  KAKEYA_ASSIGN(out.factor, rope.real("factor", {1, 1e6}));
  KAKEYA_ASSIGN(out.low_freq_factor, rope.real("low_freq_factor", {1e-6, 1e6}));
  KAKEYA_ASSIGN(out.high_freq_factor, rope.real("high_freq_factor", {1e-6, 1e6}));
  if (out.high_freq_factor <= out.low_freq_factor) {
    return rope.corrupt("high_freq_factor", describe(*rope.find("high_freq_factor")),
                        "a number above low_freq_factor");
  }
  KAKEYA_ASSIGN(const std::uint64_t original, rope.uint("original_max_position_embeddings", kPositionRange));
  out.original_max_position = static_cast<double>(original);
  return {};
}

// `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5, theta inside).
Status read_rope(const ConfigReader& reader, ModelConfig& config) {
  KAKEYA_ASSIGN(config.rope_theta, reader.real_or("rope_theta", kThetaRange, 10000));
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json* value = reader.find(key);
    if (value == nullptr) continue;
    if (!value->is_object()) return reader.corrupt(key, describe(*value), "an object");
    const ConfigReader rope(reader.file(), *value, std::string(key) + ".");
    KAKEYA_ASSIGN(config.rope_theta, rope.real_or("rope_theta", kThetaRange, config.rope_theta));
    const char* type_key = rope.has("rope_type") ? "rope_type" : "type";
    if (rope.has(type_key)) {
      KAKEYA_ASSIGN(const std::string type, rope.string(type_key));
      if (type == "llama3") {
        KAKEYA_TRY(read_llama3_scaling(rope, config.rope_scaling));
      } else if (type != "default") {
        return rope.refuse(type_key, '"' + printable(type) + '"', "\"default\" or \"llama3\"");
      }
    } else if (rope.has("factor") || key == std::string("rope_scaling")) {
      return rope.missing("rope_type", "\"default\" or \"llama3\"");
    }
    KAKEYA_ASSIGN(const double nested, rope.real_or("partial_rotary_factor", {0, 1}, 1));
    if (nested != 1) return rope.refuse("partial_rotary_factor", std::to_string(nested), "1");
  }
  KAKEYA_ASSIGN(const double partial, reader.real_or("partial_rotary_factor", {0, 1}, 1));
  if (partial != 1) return reader.refuse("partial_rotary_factor", std::to_string(partial), "1");
  return {};
}

Status read_layer_types(const ConfigReader& reader, const json& types, ModelConfig& config) {
  if (!types.is_array() || types.size() != config.layers) {
    return reader.corrupt("layer_types", describe(types),
                          "a list of " + std::to_string(config.layers) + " names");
  }
  for (std::size_t i = 0; i < config.layers; ++i) {
    const json& type = types[i];
    const std::string key = "layer_types[" + std::to_string(i) + "]";
    if (!type.is_string()) return reader.corrupt(key, describe(type), "a string");
    if (type != "full_attention" && type != "sliding_attention") {
      return reader.refuse(key, describe(type), "\"full_attention\" or \"sliding_attention\"");
    }
    config.sliding[i] = type == "sliding_attention";
  }
  return {};
}

// Which layers slide, and how far they see.
Status read_windows(const ConfigReader& reader, ModelConfig& config) {
  config.sliding.assign(config.layers, false);
  KAKEYA_ASSIGN(const bool use_window, reader.boolean_or("use_sliding_window", false));
  const json* types = reader.find("layer_types");
  if (types != nullptr) {
    KAKEYA_TRY(read_layer_types(reader, *types, config));
  } else if (use_window && config.architecture == Architecture::kQwen3) {
    // transformers' rule for Qwen3 files older than layer_types
    KAKEYA_ASSIGN(const std::uint64_t first, reader.uint_or("max_window_layers", {0, kLayerRange.max}, 28));
    for (std::size_t i = first; i < config.layers; ++i) config.sliding[i] = true;
  }
  bool any = false;
  for (const bool slides : config.sliding) any = any || slides;
  if (!any) return {};
  if (config.architecture == Architecture::kLlama) {
    return reader.refuse("layer_types", "\"sliding_attention\"",
                         "\"full_attention\" in every layer of a Llama");
  }
  if (config.architecture == Architecture::kQwen3 && !use_window) {
    return reader.corrupt("use_sliding_window", "false or nothing",
                          "true, because layer_types has sliding layers");
  }
  KAKEYA_ASSIGN(config.sliding_window, reader.uint("sliding_window", kPositionRange));
  return {};
}

// eos_token_id: a number, a list of them, null or absent.
Result<std::vector<Token>> read_eos(const ConfigReader& reader) {
  constexpr UintRange kIds = {0, 0x7fffffff};
  std::vector<Token> out;
  const json* value = reader.find("eos_token_id");
  if (value == nullptr) return out;
  if (!value->is_array()) {
    KAKEYA_ASSIGN(const std::uint64_t id, reader.as_uint("eos_token_id", *value, kIds));
    out.push_back(static_cast<Token>(id));
    return out;
  }
  if (value->size() > 256) return reader.corrupt("eos_token_id", describe(*value), "at most 256 ids");
  for (const json& item : *value) {
    KAKEYA_ASSIGN(const std::uint64_t id, reader.as_uint("eos_token_id", item, kIds));
    out.push_back(static_cast<Token>(id));
  }
  return out;
}

// transformers draws only where do_sample is true; then a temperature that is not there is 1.
Result<SamplingDefaults> read_hugging_face_sampling(const ConfigReader& reader) {
  const SamplingKeys keys = {"temperature", "top_p", "top_k", "min_p", "repetition_penalty"};
  KAKEYA_ASSIGN(SamplingDefaults out, read_sampling_defaults(reader, keys));
  KAKEYA_ASSIGN(const bool sample, reader.boolean_or("do_sample", out.temperature.has_value()));
  if (sample) {
    out.temperature = out.temperature.value_or(1.0f);
    return out;
  }
  SamplingDefaults greedy;
  greedy.repetition_penalty = out.repetition_penalty;
  return greedy;
}

Result<json> read_object(const std::string& path) {
  KAKEYA_ASSIGN(const std::string text, base::read_file(path, kMaxConfigBytes));
  KAKEYA_ASSIGN(json root, parse_json(path, text));
  if (!root.is_object())
    return corrupt_data("read " + path + ": found " + describe(root) + ", expected an object");
  return root;
}

}  // namespace

const char* to_string(Architecture architecture) {
  switch (architecture) {
    case Architecture::kQwen3:
      return "qwen3";
    case Architecture::kLlama:
      return "llama";
    case Architecture::kDFlashDraft:
      return "dflash";
  }
  return "unknown";
}

Result<ModelConfig> parse_model_config(const std::string& name, const std::string& json_text) {
  KAKEYA_ASSIGN(const json root, parse_json(name, json_text));
  if (!root.is_object())
    return corrupt_data("read " + name + ": found " + describe(root) + ", expected an object");
  const ConfigReader reader(name, root);
  ModelConfig config;
  KAKEYA_ASSIGN(config.architecture, read_architecture(reader));
  KAKEYA_TRY(refuse_variants(reader, config));
  KAKEYA_TRY(read_sizes(reader, config));
  KAKEYA_TRY(read_affine_config(reader, config));
  KAKEYA_TRY(read_rope(reader, config));
  KAKEYA_TRY(read_windows(reader, config));
  if (config.architecture == Architecture::kDFlashDraft) {
    KAKEYA_ASSIGN(config.dflash, read_dflash_config(reader, config));
  }
  return config;
}

Result<ModelConfig> load_model_config(const std::string& directory) {
  if (is_gguf_file(directory)) {
    KAKEYA_ASSIGN(const MappedGguf gguf, open_gguf(directory));
    return gguf_model_config(gguf.file);
  }
  const std::string path = directory + "/config.json";
  KAKEYA_ASSIGN(const std::string text, base::read_file(path, kMaxConfigBytes));
  return parse_model_config(path, text);
}

Result<GenerationConfig> load_generation_config(const std::string& directory) {
  if (is_gguf_file(directory)) {
    KAKEYA_ASSIGN(const MappedGguf gguf, open_gguf(directory));
    return gguf_generation_config(gguf.file);
  }
  GenerationConfig out;
  const std::string path = directory + "/generation_config.json";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    KAKEYA_ASSIGN(const json root, read_object(path));
    const ConfigReader reader(path, root);
    KAKEYA_ASSIGN(out.eos_token_ids, read_eos(reader));
    KAKEYA_ASSIGN(out.sampling, read_hugging_face_sampling(reader));
  }
  if (out.eos_token_ids.empty()) {
    const std::string config_path = directory + "/config.json";
    KAKEYA_ASSIGN(const json root, read_object(config_path));
    KAKEYA_ASSIGN(out.eos_token_ids, read_eos(ConfigReader(config_path, root)));
  }
  return out;
}

}  // namespace kakeya::formats
