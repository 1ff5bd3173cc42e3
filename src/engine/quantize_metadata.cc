#include "engine/quantize_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <unordered_map>

namespace kakeya::engine {
namespace {

using formats::GgufTokenType;

std::uint32_t u32(std::size_t value) { return static_cast<std::uint32_t>(value); }

Status set_draft_metadata(const std::string& what, const formats::ModelConfig& config,
                          formats::GgufWriter& writer) {
  const formats::DFlashConfig& dflash = *config.dflash;
  writer.set("dflash.block_size", u32(dflash.block_size));
  // The file counts states entering a layer, so the output of layer k is k + 1.
  std::vector<std::int32_t> layers;
  for (const std::size_t id : dflash.target_layer_ids) layers.push_back(static_cast<std::int32_t>(id + 1));
  writer.set("dflash.target_layers", std::span<const std::int32_t>(layers));
  if (config.sliding_window > 0) {
    writer.set("dflash.attention.sliding_window", u32(config.sliding_window));
    writer.set("dflash.attention.sliding_window_pattern", config.sliding);
  }
  if (config.rope_scaling.llama3)
    return unsupported(what + ": a draft with Llama-3.1 RoPE scaling, expected none");
  writer.set("tokenizer.ggml.mask_token_id", static_cast<std::uint32_t>(dflash.mask_token_id));
  return {};
}

// Added tokens that are not marked special but look like control tokens count as such in llama.cpp.
bool is_control(const formats::AddedToken& token) {
  return token.special || (token.content.starts_with("<|") && token.content.ends_with("|>"));
}

}  // namespace

Status set_model_metadata(const std::string& what, const std::string& name,
                          const formats::ModelConfig& config, std::uint32_t file_type,
                          formats::GgufWriter& writer) {
  const std::string arch = formats::to_string(config.architecture);
  if (config.sliding_window > 0 && !config.dflash) {
    return unsupported(
        fmt::format("{}: sliding-window layers, which GGUF files of architecture {} cannot "
                    "express; expected full attention in every layer",
                    what, arch));
  }
  writer.set("general.architecture", arch);
  writer.set("general.type", "model");
  writer.set("general.name", name);
  writer.set("general.file_type", file_type);
  writer.set("general.quantization_version", std::uint32_t{2});
  writer.set(arch + ".block_count", u32(config.layers));
  writer.set(arch + ".context_length", u32(config.max_position_embeddings));
  writer.set(arch + ".embedding_length", u32(config.hidden_size));
  writer.set(arch + ".feed_forward_length", u32(config.intermediate_size));
  writer.set(arch + ".attention.head_count", u32(config.heads));
  writer.set(arch + ".attention.head_count_kv", u32(config.kv_heads));
  writer.set(arch + ".attention.key_length", u32(config.head_dim));
  writer.set(arch + ".attention.value_length", u32(config.head_dim));
  writer.set(arch + ".attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  writer.set(arch + ".rope.freq_base", static_cast<float>(config.rope_theta));
  writer.set(arch + ".rope.dimension_count", u32(config.head_dim));
  writer.set(arch + ".vocab_size", u32(config.vocab_size));
  return config.dflash ? set_draft_metadata(what, config, writer) : Status();
}

Status set_tokenizer_metadata(const std::string& what, const formats::TokenizerFile& tokenizer,
                              const formats::ModelConfig& config, const std::vector<Token>& eos_ids,
                              formats::GgufWriter& writer) {
  std::vector<std::string> tokens(config.vocab_size);
  std::vector<std::int32_t> types(config.vocab_size, static_cast<std::int32_t>(GgufTokenType::kUnused));
  const auto put = [&](std::size_t id, const std::string& text, GgufTokenType type) -> Status {
    if (id >= tokens.size()) {
      return corrupt_data(fmt::format("{}: token {} of the tokenizer, expected ids below vocab_size {}", what,
                                      id, tokens.size()));
    }
    tokens[id] = text;
    types[id] = static_cast<std::int32_t>(type);
    return {};
  };
  std::unordered_map<std::string, Token> special;
  for (std::size_t id = 0; id < tokenizer.vocab.size(); ++id) {
    if (tokenizer.vocab[id].empty()) continue;
    KAKEYA_TRY(put(id, tokenizer.vocab[id], GgufTokenType::kNormal));
  }
  for (const formats::AddedToken& token : tokenizer.added) {
    const auto type = is_control(token) ? GgufTokenType::kControl : GgufTokenType::kUserDefined;
    KAKEYA_TRY(put(static_cast<std::size_t>(token.id), token.content, type));
    special[token.content] = token.id;
  }
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) tokens[id] = fmt::format("[PAD{}]", id);
  }
  const auto rules = formats::gguf_pre_tokenizers();
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const formats::GgufPreTokenizer& r) {
    return tokenizer.split_regexes.size() == 1 && tokenizer.split_regexes[0] == r.regex;
  });
  if (rule == rules.end() || tokenizer.add_prefix_space) {
    return unsupported(fmt::format("{}: splitting rule '{}', expected that of Qwen2, Llama 3 or GPT-2", what,
                                   tokenizer.split_regexes.empty() ? "" : tokenizer.split_regexes[0]));
  }
  std::vector<std::string> merges;
  merges.reserve(tokenizer.merges.size());
  for (const auto& [left, right] : tokenizer.merges) merges.push_back(left + ' ' + right);
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", rule->name);
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
  writer.set("tokenizer.ggml.merges", merges);
  const auto eos = special.find(tokenizer.eos_token);
  if (eos != special.end()) {
    writer.set("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(eos->second));
  } else if (!eos_ids.empty()) {
    writer.set("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(eos_ids.front()));
  }
  if (const auto bos = special.find(tokenizer.bos_token); bos != special.end()) {
    writer.set("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(bos->second));
  }
  writer.set("tokenizer.ggml.add_bos_token", tokenizer.add_bos_token);
  if (!tokenizer.chat_template.empty()) writer.set("tokenizer.chat_template", tokenizer.chat_template);
  return {};
}

std::vector<float> rope_factors(const formats::ModelConfig& config) {
  const formats::RopeScaling& scaling = config.rope_scaling;
  const double low_wavelength = scaling.original_max_position / scaling.low_freq_factor;
  const double high_wavelength = scaling.original_max_position / scaling.high_freq_factor;
  std::vector<float> out;
  for (std::size_t i = 0; i < config.head_dim; i += 2) {
    const double frequency =
        std::pow(config.rope_theta, -static_cast<double>(i) / static_cast<double>(config.head_dim));
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < high_wavelength) {
      out.push_back(1.0f);
    } else if (wavelength > low_wavelength) {
      out.push_back(static_cast<float>(scaling.factor));
    } else {
      const double smooth = (scaling.original_max_position / wavelength - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
      out.push_back(static_cast<float>(1 / ((1 - smooth) / scaling.factor + smooth)));
    }
  }
  return out;
}

}  // namespace kakeya::engine
