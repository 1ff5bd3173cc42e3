#include "formats/gguf_config.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "formats/config_limits.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxListItems = 1024;  // of lists that are no part of a tokenizer: one item per layer

template <class T>
json number_as_json(const GgufMeta& value) {
  T out;
  std::memcpy(&out, value.bytes.data(), sizeof out);
  // ConfigReader wants whole numbers that are not negative as unsigned ones.
  if constexpr (std::is_integral_v<T>) {
    if (out >= 0) return static_cast<std::uint64_t>(out);
  }
  return out;
}

json as_json(const GgufMeta& value) {
  switch (value.type) {
    case GgufValue::kU8:
      return number_as_json<std::uint8_t>(value);
    case GgufValue::kI8:
      return number_as_json<std::int8_t>(value);
    case GgufValue::kU16:
      return number_as_json<std::uint16_t>(value);
    case GgufValue::kI16:
      return number_as_json<std::int16_t>(value);
    case GgufValue::kU32:
      return number_as_json<std::uint32_t>(value);
    case GgufValue::kI32:
      return number_as_json<std::int32_t>(value);
    case GgufValue::kU64:
      return number_as_json<std::uint64_t>(value);
    case GgufValue::kI64:
      return number_as_json<std::int64_t>(value);
    case GgufValue::kF32:
      return number_as_json<float>(value);
    case GgufValue::kF64:
      return number_as_json<double>(value);
    case GgufValue::kBool:
      return value.bytes.front() != std::byte{0};
    case GgufValue::kString:
      return std::string(text_of(value));
    case GgufValue::kArray:
      break;
  }
  json list = json::array();
  for (const std::int64_t item : integer_items(value)) {
    if (value.element == GgufValue::kBool) {
      list.push_back(item != 0);
    } else if (item >= 0) {
      list.push_back(static_cast<std::uint64_t>(item));
    } else {
      list.push_back(item);
    }
  }
  return list;
}

// Typed access to the keys of one architecture.
class Metadata {
 public:
  Metadata(const GgufFile& file, std::string arch)
      : file_(file), object_(gguf_metadata_json(file)), reader_(file.name, object_), arch_(std::move(arch)) {}
  Metadata(const Metadata&) = delete;
  Metadata& operator=(const Metadata&) = delete;

  const GgufFile& file() const { return file_; }
  const ConfigReader& reader() const { return reader_; }
  const std::string& arch() const { return arch_; }
  std::string key(const char* suffix) const { return arch_ + "." + suffix; }
  const json* find(const char* suffix) const { return reader_.find(key(suffix).c_str()); }
  Result<std::uint64_t> uint(const char* suffix, UintRange range) const {
    return reader_.uint(key(suffix).c_str(), range);
  }
  Result<std::uint64_t> uint_or(const char* suffix, UintRange range, std::uint64_t fallback) const {
    return reader_.uint_or(key(suffix).c_str(), range, fallback);
  }
  Error refuse(const char* suffix, const std::string& found, const std::string& expected) const {
    return reader_.refuse(key(suffix), found, expected);
  }
  Error corrupt(const char* suffix, const std::string& found, const std::string& expected) const {
    return reader_.corrupt(key(suffix), found, expected);
  }

 private:
  const GgufFile& file_;
  json object_;
  ConfigReader reader_;
  std::string arch_;
};

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
Status refuse_variants(const Metadata& metadata) {
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
    return unsupported("read " + file.name + ": tensor \"" + printable(tensor.name) + "\": found in a " +
                       to_string(architecture) + " model, expected only tensors of that architecture" +
                       (shared && draft ? " (a draft uses embedding and head of its target)" : ""));
  }
  return {};
}

Result<std::size_t> read_vocab_size(const Metadata& metadata, Architecture architecture) {
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

Status read_sizes(const Metadata& metadata, ModelConfig& config) {
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

Status read_rope(const Metadata& metadata, ModelConfig& config) {
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

Status read_windows(const Metadata& metadata, ModelConfig& config) {
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

// dflash.target_layers names the layer whose input is tapped, one more than the id of the checkpoint. Files
// from before that convention carry dflash.target_layer_ids, the ids themselves.
Result<std::vector<std::size_t>> read_taps(const Metadata& metadata) {
  const bool inputs = metadata.find("target_layers") != nullptr;
  const char* suffix = inputs ? "target_layers" : "target_layer_ids";
  const json* list = metadata.find(suffix);
  if (inputs && metadata.find("target_layer_ids") != nullptr) {
    return metadata.corrupt("target_layer_ids", "it beside target_layers", "one of the two");
  }
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > kMaxTaps) {
    return metadata.corrupt(inputs ? suffix : "target_layers", list == nullptr ? "nothing" : describe(*list),
                            "a list of 1 to " + std::to_string(kMaxTaps) + " layers");
  }
  const std::uint64_t shift = inputs ? 1 : 0;
  std::vector<std::size_t> ids;
  for (const json& item : *list) {
    KAKEYA_ASSIGN(const std::uint64_t layer, metadata.reader().as_uint(metadata.key(suffix), item,
                                                                       {shift, kLayerRange.max - 1 + shift}));
    if (std::find(ids.begin(), ids.end(), layer - shift) != ids.end()) {
      return metadata.corrupt(suffix, "layer " + std::to_string(layer) + " twice", "distinct layers");
    }
    ids.push_back(layer - shift);
  }
  return ids;
}

Result<DFlashConfig> read_dflash(const Metadata& metadata, const ModelConfig& config) {
  DFlashConfig out;
  KAKEYA_ASSIGN(out.block_size, metadata.uint("block_size", kBlockRange));
  KAKEYA_ASSIGN(out.target_layer_ids, read_taps(metadata));
  constexpr const char* kMask = "tokenizer.ggml.mask_token_id";
  const UintRange ids = {0, config.vocab_size - 1};
  if (metadata.reader().has(kMask)) {
    KAKEYA_ASSIGN(const std::uint64_t mask, metadata.reader().uint(kMask, ids));
    out.mask_token_id = static_cast<Token>(mask);
  } else if (metadata.find("mask_token_id") != nullptr) {
    KAKEYA_ASSIGN(const std::uint64_t mask, metadata.uint("mask_token_id", ids));
    out.mask_token_id = static_cast<Token>(mask);
  } else {
    return metadata.reader().missing(kMask, "the id of the mask token");
  }
  if (const json* causal = metadata.find("attention.causal"); causal != nullptr) {
    const auto slides = [&](bool value) {
      return std::find(config.sliding.begin(), config.sliding.end(), value) != config.sliding.end();
    };
    if (!(*causal == true && !slides(false)) && !(*causal == false && !slides(true))) {
      return metadata.refuse("attention.causal", describe(*causal),
                             "nothing: causal in sliding layers, not in full ones");
    }
  }
  return out;
}

}  // namespace

nlohmann::json gguf_metadata_json(const GgufFile& file) {
  json out = json::object();
  for (const auto& [key, value] : file.metadata) {
    const bool long_list = value.type == GgufValue::kArray && value.count > kMaxListItems;
    if (long_list || key == "tokenizer.chat_template") continue;
    out[key] = as_json(value);
  }
  return out;
}

Result<ModelConfig> gguf_model_config(const GgufFile& file) {
  ModelConfig config;
  KAKEYA_ASSIGN(config.architecture, read_architecture(file));
  const Metadata metadata(file, to_string(config.architecture));
  KAKEYA_TRY(refuse_variants(metadata));
  KAKEYA_TRY(check_tensors(file, config.architecture));
  KAKEYA_ASSIGN(config.vocab_size, read_vocab_size(metadata, config.architecture));
  KAKEYA_TRY(read_sizes(metadata, config));
  KAKEYA_TRY(read_rope(metadata, config));
  KAKEYA_TRY(read_windows(metadata, config));
  if (config.architecture == Architecture::kDFlashDraft) {
    KAKEYA_ASSIGN(config.dflash, read_dflash(metadata, config));
  } else {
    config.tie_word_embeddings = file.tensor("output.weight") == nullptr;
  }
  return config;
}

Result<GenerationConfig> gguf_generation_config(const GgufFile& file) {
  const json object = gguf_metadata_json(file);
  const ConfigReader reader(file.name, object);
  GenerationConfig out;
  const auto add = [&](std::uint64_t id) {
    const auto token = static_cast<Token>(id);
    if (std::find(out.eos_token_ids.begin(), out.eos_token_ids.end(), token) == out.eos_token_ids.end()) {
      out.eos_token_ids.push_back(token);
    }
  };
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (!reader.has(key)) continue;
    KAKEYA_ASSIGN(const std::uint64_t id, reader.uint(key, {0, 0x7fffffff}));
    add(id);
  }
  // A GGUF file has room for one id of a kind, generation_config.json for many.
  const GgufMeta* tokens = file.find("tokenizer.ggml.tokens");
  const GgufMeta* types = file.find("tokenizer.ggml.token_type");
  if (tokens != nullptr && types != nullptr) {
    const auto texts = string_items(*tokens);
    const auto kinds = integer_items(*types);
    constexpr std::string_view kEnds[] = {"<|endoftext|>", "<|im_end|>", "<|end_of_text|>", "<|eom_id|>",
                                          "<|eot_id|>"};
    for (std::size_t i = 0; i < std::min(texts.size(), kinds.size()); ++i) {
      if (kinds[i] != static_cast<std::int64_t>(GgufTokenType::kControl)) continue;
      if (std::find(std::begin(kEnds), std::end(kEnds), texts[i]) != std::end(kEnds)) add(i);
    }
  }
  KAKEYA_ASSIGN(const double temperature, reader.real_or("general.sampling.temp", {0, 1000}, 1));
  KAKEYA_ASSIGN(const double top_p, reader.real_or("general.sampling.top_p", {0, 1}, 1));
  KAKEYA_ASSIGN(const std::uint64_t top_k, reader.uint_or("general.sampling.top_k", {0, 1 << 24}, 0));
  out.temperature = static_cast<float>(temperature);
  out.top_p = static_cast<float>(top_p);
  out.top_k = static_cast<int>(top_k);
  out.do_sample = reader.has("general.sampling.temp") && temperature > 0;
  return out;
}

}  // namespace kakeya::formats
