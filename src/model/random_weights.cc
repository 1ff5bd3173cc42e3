#include "model/random_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>

#include "base/half.h"
#include "kernels/blocks.h"

namespace kakeya::model {
namespace {

using kernels::WeightType;

constexpr std::string_view kRandomPrefix = "random:";
constexpr std::string_view kDraftSuffix = "-dflash";
// Rows that are really drawn; all others repeat them.
constexpr std::size_t kDrawnRows = 64;

// Published shapes of the targets.
struct Shape {
  const char* name;
  formats::Architecture architecture;
  std::size_t hidden, layers, heads, kv_heads, intermediate, vocab;
  bool tied;
  double rope_theta;
};
constexpr auto kQwen3 = formats::Architecture::kQwen3;
constexpr auto kLlama = formats::Architecture::kLlama;
constexpr std::array kShapes = {
    Shape{"qwen3-0.6b", kQwen3, 1024, 28, 16, 8, 3072, 151936, true, 1e6},
    Shape{"qwen3-1.7b", kQwen3, 2048, 28, 16, 8, 6144, 151936, true, 1e6},
    Shape{"qwen3-4b", kQwen3, 2560, 36, 32, 8, 9728, 151936, true, 1e6},
    Shape{"qwen3-8b", kQwen3, 4096, 36, 32, 8, 12288, 151936, false, 1e6},
    Shape{"llama-3.1-8b", kLlama, 4096, 32, 32, 8, 14336, 128256, false, 5e5},
};
constexpr std::array kTypes = {WeightType::kQ4_0, WeightType::kQ8_0, WeightType::kQ4K,
                               WeightType::kQ5K,  WeightType::kQ6K,  WeightType::kBf16};

formats::ModelConfig target_config(const Shape& shape) {
  formats::ModelConfig c;
  c.architecture = shape.architecture;
  c.vocab_size = shape.vocab;
  c.hidden_size = shape.hidden;
  c.intermediate_size = shape.intermediate;
  c.layers = shape.layers;
  c.heads = shape.heads;
  c.kv_heads = shape.kv_heads;
  c.head_dim = 128;
  c.rms_norm_eps = shape.architecture == kLlama ? 1e-5f : 1e-6f;
  c.rope_theta = shape.rope_theta;
  c.max_position_embeddings = 40960;
  c.tie_word_embeddings = shape.tied;
  return c;
}

// The published drafts: five layers of the target's width, five taps spread over its layers, blocks of 16.
formats::ModelConfig draft_config(const Shape& shape) {
  constexpr std::size_t kLayers = 5, kBlock = 16;
  formats::ModelConfig c = target_config(shape);
  c.architecture = formats::Architecture::kDFlashDraft;
  c.layers = kLayers;
  formats::DFlashConfig dflash;
  dflash.block_size = kBlock;
  dflash.num_target_layers = shape.layers;
  for (std::size_t i = 0; i < kLayers; ++i) {
    dflash.target_layer_ids.push_back(1 + i * (shape.layers - 4) / (kLayers - 1));
  }
  dflash.mask_token_id = static_cast<Token>(shape.vocab - 1);
  c.dflash = dflash;
  return c;
}

std::string known_names() {
  std::string out;
  for (const Shape& shape : kShapes) {
    out += fmt::format("{}{}, {}{}", out.empty() ? "" : ", ", shape.name, shape.name, kDraftSuffix);
  }
  return out;
}

// x[0, n) in the layout of `type`.
void store_row(WeightType type, std::span<const float> x, std::byte* out) {
  if (kernels::is_quantised(type)) return kernels::quantise_row(type, x.data(), x.size(), out);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint16_t half = base::f32_to_bf16(x[i]);
    std::memcpy(out + 2 * i, &half, sizeof half);
  }
}

}  // namespace

bool is_random_model(std::string_view name) { return name.starts_with(kRandomPrefix); }

Result<RandomModel> parse_random_model(std::string_view name) {
  const std::string_view rest = name.substr(std::min(name.size(), kRandomPrefix.size()));
  const std::size_t colon = rest.find(':');
  const std::string_view shape_name = rest.substr(0, colon);
  const std::string type_name(colon == std::string_view::npos ? "q4_0" : rest.substr(colon + 1));
  const bool draft = shape_name.ends_with(kDraftSuffix);
  const std::string_view base = shape_name.substr(0, shape_name.size() - (draft ? kDraftSuffix.size() : 0));
  const auto* shape = std::ranges::find_if(kShapes, [&](const Shape& s) { return base == s.name; });
  if (shape == kShapes.end()) {
    return invalid_argument(
        fmt::format("random model: found '{}', expected one of: {}", shape_name, known_names()));
  }
  std::string types;
  for (const WeightType type : kTypes) {
    if (type_name == kernels::to_string(type)) {
      return RandomModel{fmt::format("random-{}-{}", shape_name, type_name),
                         draft ? draft_config(*shape) : target_config(*shape), type};
    }
    types += (types.empty() ? "" : ", ") + std::string(kernels::to_string(type));
  }
  return invalid_argument(
      fmt::format("random model {}: type is '{}', expected one of: {}", shape_name, type_name, types));
}

Result<kernels::Weight> RandomWeights::matrix(const std::string& name, std::size_t out, std::size_t in,
                                              MatrixUse use) {
  std::seed_seq seed(name.begin(), name.end());
  std::mt19937 draw(seed);
  std::normal_distribution<float> normal(0.0f, 1.0f / std::sqrt(static_cast<float>(in)));
  const std::size_t row_bytes = kernels::row_bytes(type_, in);
  std::vector<std::byte> drawn(kDrawnRows * row_bytes);
  std::vector<float> row(in);
  for (std::size_t r = 0; r < kDrawnRows; ++r) {
    for (float& value : row) value = normal(draw);
    store_row(type_, row, drawn.data() + r * row_bytes);
  }
  std::vector<std::uint32_t> order(out);
  for (std::uint32_t& source : order) source = static_cast<std::uint32_t>(draw() % kDrawnRows);

  kernels::Weight weight = {nullptr, type_, out, in};
  if (kernels::is_quantised(type_) && !use.lookup_only) {
    KAKEYA_ASSIGN(weight, pack_rows(pool_, {type_, out, in, drawn.data()}, order));
  } else {
    KAKEYA_ASSIGN(const std::span<std::byte> memory, owned_.allocate(out * row_bytes));
    for (std::size_t o = 0; o < out; ++o) {
      std::memcpy(memory.data() + o * row_bytes, drawn.data() + order[o] * row_bytes, row_bytes);
    }
    weight.data = memory.data();
  }
  count_matrix(weight);
  return weight;
}

Result<std::vector<float>> RandomWeights::vector(const std::string&, std::size_t n) {
  parameters_ += n;
  return std::vector<float>(n, 1.0f);
}

}  // namespace kakeya::model
