#include "formats/gguf_names.h"

#include <algorithm>
#include <array>

namespace kakeya::formats {
namespace {

constexpr std::array<GgmlType, 8> kTypes = {{
    {0, Dtype::kF32, "F32", 1, 4},
    {1, Dtype::kF16, "F16", 1, 2},
    {30, Dtype::kBf16, "BF16", 1, 2},
    {8, Dtype::kQ8_0, "Q8_0", 32, 34},
    {2, Dtype::kQ4_0, "Q4_0", 32, 18},
    {12, Dtype::kQ4K, "Q4_K", 256, 144},
    {13, Dtype::kQ5K, "Q5_K", 256, 176},
    {14, Dtype::kQ6K, "Q6_K", 256, 210},
}};

struct NamePair {
  std::string_view hugging_face, gguf;
};
// Without "model." and ".weight".
constexpr NamePair kModelNames[] = {
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm"},
    {"lm_head", "output"},
    {"fc", "fc"},                       // drafts: joins the tapped states
    {"hidden_norm", "enc.output_norm"}  // drafts: after fc
};
// Without "layers.N." and ".weight".
constexpr NamePair kLayerNames[] = {
    {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};

constexpr GgufPreTokenizer kPreTokenizers[] = {
    {"qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     true, false},
    {"llama-bpe",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     false, true},
    {"gpt-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", false, false},
};

constexpr std::string_view kWeight = ".weight";

bool cut_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// "3." off the front; empty when there is no number of at most four digits without a leading zero.
std::string_view cut_layer(std::string_view& text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > 4 || (dot > 1 && text[0] == '0')) return {};
  const std::string_view number = text.substr(0, dot);
  if (!std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; })) return {};
  text.remove_prefix(dot + 1);
  return number;
}

template <std::string_view NamePair::*kFrom, std::string_view NamePair::*kTo>
std::optional<std::string_view> look_up(std::span<const NamePair> names, std::string_view name) {
  for (const NamePair& pair : names) {
    if (pair.*kFrom == name) return pair.*kTo;
  }
  return std::nullopt;
}

}  // namespace

std::span<const GgmlType> ggml_types() { return kTypes; }

const GgmlType* find_ggml_type(std::uint32_t number) {
  for (const GgmlType& type : kTypes) {
    if (type.number == number) return &type;
  }
  return nullptr;
}

const GgmlType* find_ggml_type(Dtype dtype) {
  for (const GgmlType& type : kTypes) {
    if (type.dtype == dtype) return &type;
  }
  return nullptr;
}

std::optional<std::string> gguf_tensor_name(std::string_view name) {
  if (!name.ends_with(kWeight)) return std::nullopt;
  name.remove_suffix(kWeight.size());
  cut_prefix(name, "model.");
  std::string prefix;
  std::span<const NamePair> names = kModelNames;
  if (cut_prefix(name, "layers.")) {
    const std::string_view layer = cut_layer(name);
    if (layer.empty()) return std::nullopt;
    prefix = "blk." + std::string(layer) + ".";
    names = kLayerNames;
  }
  const auto found = look_up<&NamePair::hugging_face, &NamePair::gguf>(names, name);
  if (!found) return std::nullopt;
  return prefix + std::string(*found) + std::string(kWeight);
}

std::optional<std::string> hugging_face_tensor_name(std::string_view name) {
  if (!name.ends_with(kWeight)) return std::nullopt;
  name.remove_suffix(kWeight.size());
  std::string prefix;
  std::span<const NamePair> names = kModelNames;
  if (cut_prefix(name, "blk.")) {
    const std::string_view layer = cut_layer(name);
    if (layer.empty()) return std::nullopt;
    prefix = "model.layers." + std::string(layer) + ".";
    names = kLayerNames;
  }
  const auto found = look_up<&NamePair::gguf, &NamePair::hugging_face>(names, name);
  if (!found) return std::nullopt;
  if (*found == "embed_tokens" || *found == "norm") prefix = "model.";
  return prefix + std::string(*found) + std::string(kWeight);
}

std::span<const GgufPreTokenizer> gguf_pre_tokenizers() { return kPreTokenizers; }

}  // namespace kakeya::formats
