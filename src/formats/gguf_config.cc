#include "formats/gguf_config.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "formats/config_limits.h"
#include "formats/gguf_metadata.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;

Result<Architecture> read_architecture(const GgufFile& file) {
  const json object = gguf_metadata_json(file);
  const ConfigReader reader(file.name, object);
  KAKEYA_ASSIGN(const std::string name, reader.string("general.architecture"));
  for (const Architecture known : {Architecture::kQwen3, Architecture::kLlama, Architecture::kDFlashDraft}) {
    if (name == to_string(known)) return known;
  }
  return reader.refuse("general.architecture", '"' + printable(name) + '"',
                       "\"qwen3\", \"llama\" or \"dflash\"");
}

// Keys that change the arithmetic in ways we do not have. `neutral` may stand there.
Status refuse_variants(const GgufMetadata& metadata) {
  struct Variant {
    const char* suffix;
    double neutral;
  };
  constexpr Variant kVariants[] = {
      {"expert_count", 0},           {"logit_scale", 1},         {"embedding_scale", 1},
      {"residual_scale", 1},         {"attention.scale", 0},     {"final_logit_softcapping", 0},
      {"attn_logit_softcapping", 0}, {"rope.scaling.factor", 1}, {"rope.scale_linear", 1},
      {"conv_kernel_size", 0},  // DFlash2
      {"selector_rank", 0},     // DFlash2
      {"hyper_connection_count", 0},
  };
  for (const Variant& variant : kVariants) {
    const json* value = metadata.find(variant.suffix);
    if (value == nullptr || (value->is_number() && value->get<double>() == variant.neutral)) continue;
    return metadata.refuse(variant.suffix, describe(*value), "nothing");
  }
  if (const json* type = metadata.find("rope.scaling.type"); type != nullptr && *type != "none") {
    return metadata.refuse("rope.scaling.type", describe(*type), "\"none\"");
  }
  if (const json* act = metadata.find("hidden_act"); act != nullptr && *act != "silu") {
    return metadata.refuse("hidden_act", describe(*act), "\"silu\"");
  }
  return {};
}

// Biases, experts, sinks, reduced vocabularies: a tensor left unread would be a wrong answer.
Status check_tensors(const GgufFile& file, Architecture architecture) {
  const bool draft = architecture == Architecture::kDFlashDraft;
  for (const GgufTensor& tensor : file.tensors) {
    const bool shared = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
    const bool only_draft = tensor.name == "fc.weight" || tensor.name == "enc.output_norm.weight";
    const bool known =
        tensor.name == "rope_freqs.weight" || hugging_face_tensor_name(tensor.name).has_value();
    if (known && !(draft ? shared : only_draft)) continue;
    return unsupported("read " + file.file_of(tensor) + ": tensor \"" + printable(tensor.name) +
                       "\": found in a " + to_string(architecture) +
                       " model, expected only tensors of that architecture" +
                       (shared && draft ? " (a draft uses embedding and head of its target)" : ""));
  }
  return {};
}

Result<std::size_t> read_vocab_size(const GgufMetadata& metadata, Architecture architecture) {
  const GgufFile& file = metadata.file();
  if (architecture != Architecture::kDFlashDraft) {
    const GgufTensor* embedding = file.tensor("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2 || embedding->shape[0] > kVocabRange.max) {
      return corrupt_data("read " + file.name + ": tensor \"token_embd.weight\": found " +
                          (embedding == nullptr ? "nothing" : "no matrix of a vocabulary") +
                          ", expected a matrix of one row per token");
    }
    const std::uint64_t rows = embedding->shape[0];
    const GgufMeta* tokens = file.find("tokenizer.ggml.tokens");
    if (tokens != nullptr && tokens->count != rows) {
      return metadata.reader().corrupt("tokenizer.ggml.tokens", describe(*tokens),
                                       std::to_string(rows) + ", the rows of token_embd.weight");
    }
    KAKEYA_ASSIGN(const std::uint64_t stated, metadata.uint_or("vocab_size", kVocabRange, rows));
    if (stated != rows) {
      return metadata.corrupt("vocab_size", std::to_string(stated),
                              std::to_string(rows) + ", the rows of token_embd.weight");
    }
    return rows;
  }
  // The converter pads the list of tokens to the rows of the target's embedding.
  const GgufMeta* tokens = file.find("tokenizer.ggml.tokens");
  const std::uint64_t count = tokens != nullptr ? tokens->count : 0;
  if (count > kVocabRange.max || (count == 0 && metadata.find("vocab_size") == nullptr)) {
    return metadata.reader().corrupt("tokenizer.ggml.tokens",
                                     count == 0 ? "nothing" : std::to_string(count) + " tokens",
                                     "a list of at most " + std::to_string(kVocabRange.max) + " tokens");
  }
  KAKEYA_ASSIGN(const std::uint64_t stated, metadata.uint_or("vocab_size", kVocabRange, count));
  if (count != 0 && stated != count) {
    return metadata.corrupt("vocab_size", std::to_string(stated),
                            std::to_string(count) + " as there are tokens");
  }
  return stated;
}

Status read_sizes(const GgufMetadata& metadata, ModelConfig& config) {
  KAKEYA_ASSIGN(config.layers, metadata.uint("block_count", kLayerRange));
  KAKEYA_ASSIGN(config.max_position_embeddings, metadata.uint("context_length", kPositionRange));
  KAKEYA_ASSIGN(config.hidden_size, metadata.uint("embedding_length", kHiddenRange));
  KAKEYA_ASSIGN(config.intermediate_size, metadata.uint("feed_forward_length", kIntermediateRange));
  KAKEYA_ASSIGN(config.heads, metadata.uint("attention.head_count", kHeadRange));
  KAKEYA_ASSIGN(config.kv_heads, metadata.uint_or("attention.head_count_kv", kHeadRange, config.heads));
  if (config.heads % config.kv_heads != 0) {
    return metadata.corrupt("attention.head_count_kv", std::to_string(config.kv_heads),
                            "a divisor of attention.head_count " + std::to_string(config.heads));
  }
  KAKEYA_ASSIGN(config.head_dim,
                metadata.uint_or("attention.key_length", kHeadDimRange, config.hidden_size / config.heads));
  if (config.head_dim < kHeadDimRange.min || config.head_dim > kHeadDimRange.max ||
      config.head_dim % 2 != 0 ||
      (metadata.find("attention.key_length") == nullptr && config.hidden_size % config.heads != 0)) {
    return metadata.corrupt("attention.key_length", std::to_string(config.head_dim),
                            "an even number from 2 to 1024");
  }
  for (const char* same : {"attention.value_length", "rope.dimension_count"}) {
    KAKEYA_ASSIGN(const std::uint64_t length, metadata.uint_or(same, kHeadDimRange, config.head_dim));
    if (length != config.head_dim) {
      return metadata.refuse(same, std::to_string(length),
                             std::to_string(config.head_dim) + ", the size of a head");
    }
  }
  const std::string eps_key = metadata.key("attention.layer_norm_rms_epsilon");
  KAKEYA_ASSIGN(const double eps, metadata.reader().real(eps_key.c_str(), kEpsRange));
  config.rms_norm_eps = static_cast<float>(eps);
  return {};
}

Status read_rope(const GgufMetadata& metadata, ModelConfig& config) {
  const std::string theta_key = metadata.key("rope.freq_base");
  KAKEYA_ASSIGN(config.rope_theta, metadata.reader().real_or(theta_key.c_str(), kThetaRange, 10000));
  // Drafts of multi-axis targets turn along the first axis alone, which is ordinary RoPE.
  if (const json* sections = metadata.find("rope.dimension_sections"); sections != nullptr) {
    if (*sections != json::array({config.head_dim / 2, 0u, 0u, 0u})) {
      return metadata.refuse("rope.dimension_sections", describe(*sections),
                             "[" + std::to_string(config.head_dim / 2) + ", 0, 0, 0] or nothing");
    }
  }
  const GgufTensor* factors = metadata.file().tensor("rope_freqs.weight");
  if (factors == nullptr) return {};
  const std::string where = "read " + metadata.file().name + ": tensor \"rope_freqs.weight\": found ";
  if (factors->dtype != Dtype::kF32 || factors->shape != std::vector<std::uint64_t>{config.head_dim / 2}) {
    return corrupt_data(where + factors->type_name + " of " + std::to_string(factors->bytes.size()) +
                        " bytes, expected " + std::to_string(config.head_dim / 2) + " numbers of F32");
  }
  std::vector<float> values(config.head_dim / 2);
  std::memcpy(values.data(), factors->bytes.data(), factors->bytes.size());
  KAKEYA_ASSIGN(const std::uint64_t original,
                metadata.uint_or("rope.scaling.original_context_length", {0, kPositionRange.max}, 0));
  const auto scaling = scaling_of_factors(values, config.rope_theta, static_cast<double>(original));
  if (!scaling) {
    return unsupported(where + "factors up to " +
                       std::to_string(*std::max_element(values.begin(), values.end())) +
                       ", expected those of Llama 3's RoPE scaling (low 1, high 4, 8192 positions)");
  }
  config.rope_scaling = *scaling;
  return {};
}

Status read_windows(const GgufMetadata& metadata, ModelConfig& config) {
  config.sliding.assign(config.layers, false);
  KAKEYA_ASSIGN(const std::uint64_t window,
                metadata.uint_or("attention.sliding_window", {0, kPositionRange.max}, 0));
  if (window == 0) return {};
  if (config.architecture != Architecture::kDFlashDraft) {
    return metadata.refuse("attention.sliding_window", std::to_string(window), "nothing: full attention");
  }
  const json* pattern = metadata.find("attention.sliding_window_pattern");
  const std::string expected = "a list of " + std::to_string(config.layers) + " booleans";
  if (pattern == nullptr || !pattern->is_array() || pattern->size() != config.layers) {
    return metadata.corrupt("attention.sliding_window_pattern",
                            pattern == nullptr ? "nothing" : describe(*pattern), expected);
  }
  for (std::size_t i = 0; i < config.layers; ++i) {
    const json& slides = (*pattern)[i];
    if (!slides.is_boolean()) {
      return metadata.corrupt("attention.sliding_window_pattern", describe(slides), expected);
    }
    config.sliding[i] = slides.get<bool>();
    if (config.sliding[i]) config.sliding_window = window;
  }
  return {};
}

}  // namespace

Result<ModelConfig> gguf_model_config(const GgufFile& file) {
  ModelConfig config;
  KAKEYA_ASSIGN(config.architecture, read_architecture(file));
  const GgufMetadata metadata(file, to_string(config.architecture));
  KAKEYA_TRY(refuse_variants(metadata));
  KAKEYA_TRY(check_tensors(file, config.architecture));
  KAKEYA_ASSIGN(config.vocab_size, read_vocab_size(metadata, config.architecture));
  KAKEYA_TRY(read_sizes(metadata, config));
  KAKEYA_TRY(read_rope(metadata, config));
  KAKEYA_TRY(read_windows(metadata, config));
  if (config.architecture == Architecture::kDFlashDraft) {
    KAKEYA_ASSIGN(config.dflash, gguf_dflash_config(metadata, config));
  } else {
    config.tie_word_embeddings = file.tensor("output.weight") == nullptr;
  }
  return config;
}

}  // namespace kakeya::formats
