// What a GGUF file says of a DFlash draft: block, mask token, layers that are tapped.
#include <algorithm>

#include "formats/config_limits.h"
#include "formats/gguf_metadata.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;

// dflash.target_layers names the layer whose input is tapped, one more than the id of the checkpoint. Files
// from before that convention carry dflash.target_layer_ids, the ids themselves.
Result<std::vector<std::size_t>> read_taps(const GgufMetadata& metadata) {
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

}  // namespace

Result<DFlashConfig> gguf_dflash_config(const GgufMetadata& metadata, const ModelConfig& config) {
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

}  // namespace kakeya::formats
