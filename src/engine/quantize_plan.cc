#include "engine/quantize_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "base/check.h"
#include "kernels/blocks.h"

namespace kakeya::engine {
namespace {

using formats::Architecture;
using formats::Dtype;
using kernels::WeightType;

Dtype dtype_of(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return Dtype::kF32;
    case WeightType::kF16:
      return Dtype::kF16;
    case WeightType::kBf16:
      return Dtype::kBf16;
    case WeightType::kQ8_0:
      return Dtype::kQ8_0;
    case WeightType::kQ4_0:
      return Dtype::kQ4_0;
    case WeightType::kQ4K:
      return Dtype::kQ4K;
    case WeightType::kQ5K:
      return Dtype::kQ5K;
    case WeightType::kQ6K:
      return Dtype::kQ6K;
    default:
      return Dtype::kOther;
  }
}

Result<WeightType> source_type(const std::string& where, const formats::TensorView& view) {
  switch (view.dtype) {
    case Dtype::kF32:
      return WeightType::kF32;
    case Dtype::kF16:
      return WeightType::kF16;
    case Dtype::kBf16:
      return WeightType::kBf16;
    default:
      return unsupported(fmt::format("{}: dtype {}, expected F32, F16 or BF16", where, view.dtype_name));
  }
}

// What a matrix is for, as far as the mixes care.
enum class Part { kOther, kOutput, kAttentionV, kFfnDown };

// llama.cpp's choice of layers that get more bits: the first and last eighth and every third between.
bool more_bits(std::size_t layer, std::size_t layers) {
  const std::size_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

class Planner {
 public:
  Planner(const std::string& what, const formats::TensorStore& store, const formats::ModelConfig& config,
          const QuantizeMix& mix, bool pure)
      : what_(what), store_(store), config_(config), mix_(mix), pure_(pure) {}

  Result<QuantizePlan> plan() {
    if (config_.dflash) {
      const std::size_t taps = config_.dflash->target_layer_ids.size();
      KAKEYA_TRY(matrix("fc.weight", config_.hidden_size, taps * config_.hidden_size, Part::kOther));
      KAKEYA_TRY(vector("hidden_norm.weight", config_.hidden_size));
    } else {
      const Part embedding = config_.tie_word_embeddings ? Part::kOutput : Part::kOther;
      KAKEYA_TRY(matrix("model.embed_tokens.weight", config_.vocab_size, config_.hidden_size, embedding));
    }
    for (std::size_t i = 0; i < config_.layers; ++i) KAKEYA_TRY(layer(i));
    KAKEYA_TRY(vector("model.norm.weight", config_.hidden_size));
    if (!config_.dflash && !config_.tie_word_embeddings) {
      KAKEYA_TRY(matrix("lm_head.weight", config_.vocab_size, config_.hidden_size, Part::kOutput));
    }
    if (config_.rope_scaling.llama3) {
      PlannedTensor factors;
      factors.name = "rope_freqs.weight";
      factors.shape = {config_.head_dim / 2};
      plan_.tensors.push_back(std::move(factors));
    }
    KAKEYA_TRY(check_leftovers());
    return std::move(plan_);
  }

 private:
  Status layer(std::size_t i) {
    const std::string at = fmt::format("model.layers.{}.", i);
    const std::size_t hidden = config_.hidden_size, inner = config_.intermediate_size;
    const std::size_t q = config_.heads * config_.head_dim, kv = config_.kv_heads * config_.head_dim;
    const bool llama = config_.architecture == Architecture::kLlama;
    layer_ = i;
    KAKEYA_TRY(vector(at + "input_layernorm.weight", hidden));
    KAKEYA_TRY(matrix(at + "self_attn.q_proj.weight", q, hidden, Part::kOther, llama ? config_.heads : 0));
    KAKEYA_TRY(
        matrix(at + "self_attn.k_proj.weight", kv, hidden, Part::kOther, llama ? config_.kv_heads : 0));
    KAKEYA_TRY(matrix(at + "self_attn.v_proj.weight", kv, hidden, Part::kAttentionV));
    KAKEYA_TRY(matrix(at + "self_attn.o_proj.weight", hidden, q, Part::kOther));
    if (!llama) {
      KAKEYA_TRY(vector(at + "self_attn.q_norm.weight", config_.head_dim));
      KAKEYA_TRY(vector(at + "self_attn.k_norm.weight", config_.head_dim));
    }
    KAKEYA_TRY(vector(at + "post_attention_layernorm.weight", hidden));
    KAKEYA_TRY(matrix(at + "mlp.gate_proj.weight", inner, hidden, Part::kOther));
    KAKEYA_TRY(matrix(at + "mlp.up_proj.weight", inner, hidden, Part::kOther));
    return matrix(at + "mlp.down_proj.weight", hidden, inner, Part::kFfnDown);
  }

  Status vector(const std::string& name, std::size_t n) { return add(name, {n}, WeightType::kF32, 0); }

  Status matrix(const std::string& name, std::size_t out, std::size_t in, Part part,
                std::size_t paired_heads = 0) {
    const WeightType wanted = choose(part);
    WeightType type = wanted;
    if (in % kernels::block_values(type) != 0) type = WeightType::kQ8_0;
    if (in % kernels::block_values(type) != 0) type = WeightType::kF16;
    if (type != wanted) {
      plan_.notes.push_back(fmt::format("{}: rows of {} values do not fit {}, stored as {}", name, in,
                                        ggml_type(wanted).name, ggml_type(type).name));
    }
    return add(name, {out, in}, type, paired_heads);
  }

  WeightType choose(Part part) const {
    if (pure_ || mix_.type == WeightType::kQ8_0) return mix_.type;
    if (part == Part::kOutput) return WeightType::kQ6K;
    const bool sensitive = part == Part::kAttentionV || part == Part::kFfnDown;
    if (mix_.type == WeightType::kQ4K && sensitive && more_bits(layer_, config_.layers))
      return WeightType::kQ6K;
    return mix_.type;
  }

  Status add(const std::string& name, std::vector<std::uint64_t> shape, WeightType type,
             std::size_t paired_heads) {
    std::string found = name;
    const formats::TensorView* view = store_.find(found);
    if (view == nullptr && name.starts_with("model.")) view = store_.find(found = name.substr(6));
    if (view == nullptr) view = store_.find(found = "model." + name);
    if (view == nullptr) {
      return not_found(
          fmt::format("{}: tensor {} is missing, expected shape [{}]", what_, name, fmt::join(shape, ", ")));
    }
    const std::string where = fmt::format("{}: tensor {}", what_, found);
    if (view->shape != shape) {
      return corrupt_data(fmt::format("{}: shape [{}], expected [{}] by config.json", where,
                                      fmt::join(view->shape, ", "), fmt::join(shape, ", ")));
    }
    PlannedTensor tensor;
    KAKEYA_ASSIGN(tensor.source_type, source_type(where, *view));
    const auto gguf_name = formats::gguf_tensor_name(name);
    KAKEYA_CHECK(gguf_name.has_value());
    tensor.name = *gguf_name;
    tensor.source = view;
    tensor.shape = std::move(shape);
    tensor.type = type;
    tensor.paired_heads = paired_heads;
    plan_.tensors.push_back(std::move(tensor));
    used_.insert(found);
    return {};
  }

  // A tensor nobody asked for may be part of the arithmetic that we do not know.
  Status check_leftovers() const {
    for (const auto& [name, view] : store_.tensors()) {
      if (used_.contains(name) || name.ends_with("rotary_emb.inv_freq")) continue;
      if (name == "lm_head.weight" && config_.tie_word_embeddings) continue;
      return unsupported(
          fmt::format("{}: tensor {}: expected none of that name in a model of architecture {}", what_, name,
                      formats::to_string(config_.architecture)));
    }
    return {};
  }

  const std::string& what_;
  const formats::TensorStore& store_;
  const formats::ModelConfig& config_;
  const QuantizeMix& mix_;
  const bool pure_;
  std::size_t layer_ = 0;
  QuantizePlan plan_;
  std::set<std::string> used_;
};

}  // namespace

const std::vector<QuantizeMix>& quantize_mixes() {
  static const std::vector<QuantizeMix> mixes = {
      {"q8_0", WeightType::kQ8_0, 7}, {"q4_0", WeightType::kQ4_0, 2}, {"q4_k_m", WeightType::kQ4K, 15}};
  return mixes;
}

const QuantizeMix* find_mix(const std::string& name) {
  for (const QuantizeMix& mix : quantize_mixes()) {
    if (name == mix.name) return &mix;
  }
  return nullptr;
}

const formats::GgmlType& ggml_type(WeightType type) {
  const formats::GgmlType* found = formats::find_ggml_type(dtype_of(type));
  KAKEYA_CHECK(found != nullptr);
  return *found;
}

Result<QuantizePlan> plan_quantize(const std::string& what, const formats::TensorStore& store,
                                   const formats::ModelConfig& config, const QuantizeMix& mix, bool pure) {
  return Planner(what, store, config, mix, pure).plan();
}

}  // namespace kakeya::engine
