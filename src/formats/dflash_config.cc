#include "formats/dflash_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "formats/config_limits.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxTargetLayers = kLayerRange.max;

// A key at top level, in dflash_config, or in both when they agree.
Result<const json*> find_key(const ConfigReader& top, const ConfigReader& nested, const char* key) {
  const json* outer = top.find(key);
  const json* inner = nested.find(key);
  if (outer != nullptr && inner != nullptr && *outer != *inner) {
    return nested.corrupt(key, describe(*inner), "the value at top level, " + describe(*outer));
  }
  return inner != nullptr ? inner : outer;
}

Result<std::uint64_t> require_uint(const ConfigReader& top, const ConfigReader& nested, const char* key,
                                   UintRange range) {
  KAKEYA_ASSIGN(const json* value, find_key(top, nested, key));
  if (value == nullptr) {
    return top.missing(key, "a whole number from " + std::to_string(range.min) + " to " +
                                std::to_string(range.max) + " here or in dflash_config");
  }
  return top.as_uint(key, *value, range);
}

Result<std::vector<std::size_t>> read_layer_ids(const ConfigReader& reader, const json& list,
                                                std::size_t num_target_layers) {
  if (!list.is_array() || list.empty() || list.size() > kMaxTaps) {
    return reader.corrupt("target_layer_ids", describe(list),
                          "a list of 1 to " + std::to_string(kMaxTaps) + " layers");
  }
  const std::uint64_t last = (num_target_layers != 0 ? num_target_layers : kMaxTargetLayers) - 1;
  std::vector<std::size_t> ids;
  for (const json& item : list) {
    KAKEYA_ASSIGN(const std::uint64_t id, reader.as_uint("target_layer_ids", item, {0, last}));
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) {
      return reader.corrupt("target_layer_ids", "layer " + std::to_string(id) + " twice", "distinct layers");
    }
    ids.push_back(id);
  }
  return ids;
}

// Options of newer drafts that change the arithmetic; silence would be a wrong answer.
Status refuse_newer_options(const ConfigReader& top, const ConfigReader& nested, const ModelConfig& config) {
  for (const char* key : {"input_embedding_scale", "output_multiplier"}) {
    KAKEYA_ASSIGN(const json* value, find_key(top, nested, key));
    if (value != nullptr && !(value->is_number() && value->get<double>() == 1)) {
      return top.refuse(key, describe(*value), "1 or nothing");
    }
  }
  for (const char* key : {"final_logit_softcapping", "attention_sinks"}) {
    KAKEYA_ASSIGN(const json* value, find_key(top, nested, key));
    if (value != nullptr && *value != false) return top.refuse(key, describe(*value), "nothing");
  }
  KAKEYA_ASSIGN(const json* non_causal, find_key(top, nested, "sliding_window_non_causal"));
  if (non_causal != nullptr && *non_causal != false) {
    return top.refuse("sliding_window_non_causal", describe(*non_causal), "false or nothing");
  }
  // Without the key sliding layers are causal inside the block and full ones are not: only that is supported.
  KAKEYA_ASSIGN(const json* causal, find_key(top, nested, "is_causal"));
  if (causal != nullptr) {
    const bool all_slide =
        std::find(config.sliding.begin(), config.sliding.end(), false) == config.sliding.end();
    const bool none_slides =
        std::find(config.sliding.begin(), config.sliding.end(), true) == config.sliding.end();
    if (!(*causal == true && all_slide) && !(*causal == false && none_slides)) {
      return top.refuse("is_causal", describe(*causal),
                        "nothing: causal in sliding layers, not in full ones");
    }
  }
  return {};
}

}  // namespace

std::vector<std::size_t> default_target_layer_ids(std::size_t num_target_layers, std::size_t taps) {
  if (taps == 1 && num_target_layers > 0) return {num_target_layers / 2};
  if (taps == 0 || num_target_layers < 4) return {};
  const std::size_t span = num_target_layers - 4, steps = taps - 1;
  std::vector<std::size_t> ids;
  for (std::size_t i = 0; i < taps; ++i) {
    const std::size_t numerator = i * span;
    std::size_t id = 1 + numerator / steps;
    const std::size_t twice = 2 * (numerator % steps);
    if (twice > steps || (twice == steps && id % 2 == 1)) ++id;  // half to even
    if (!ids.empty() && ids.back() == id) return {};
    ids.push_back(id);
  }
  return ids;
}

Result<DFlashConfig> read_dflash_config(const ConfigReader& reader, const ModelConfig& config) {
  static const json kNothing = json::object();
  const json* object = reader.find("dflash_config");
  if (object != nullptr && !object->is_object()) {
    return reader.corrupt("dflash_config", describe(*object), "an object");
  }
  const ConfigReader nested(reader.file(), object != nullptr ? *object : kNothing, "dflash_config.");
  KAKEYA_TRY(refuse_newer_options(reader, nested, config));

  DFlashConfig out;
  KAKEYA_ASSIGN(out.block_size, require_uint(reader, nested, "block_size", kBlockRange));
  KAKEYA_ASSIGN(const std::uint64_t mask,
                require_uint(reader, nested, "mask_token_id", {0, config.vocab_size - 1}));
  out.mask_token_id = static_cast<Token>(mask);
  KAKEYA_ASSIGN(const json* target_layers, find_key(reader, nested, "num_target_layers"));
  if (target_layers != nullptr) {
    KAKEYA_ASSIGN(out.num_target_layers,
                  reader.as_uint("num_target_layers", *target_layers, {1, kMaxTargetLayers}));
  }
  KAKEYA_ASSIGN(const json* ids, find_key(reader, nested, "target_layer_ids"));
  if (ids != nullptr) {
    KAKEYA_ASSIGN(out.target_layer_ids, read_layer_ids(reader, *ids, out.num_target_layers));
    return out;
  }
  if (out.num_target_layers == 0) {
    return reader.missing("target_layer_ids", "a list of layers, or num_target_layers to derive it from");
  }
  out.target_layer_ids = default_target_layer_ids(out.num_target_layers, config.layers);
  if (out.target_layer_ids.empty()) {
    return reader.missing("target_layer_ids", "a list: " + std::to_string(config.layers) +
                                                  " layers cannot be spread over num_target_layers " +
                                                  std::to_string(out.num_target_layers));
  }
  return out;
}

}  // namespace kakeya::formats
