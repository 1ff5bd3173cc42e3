// The DFlash part of a draft's config.json. Knows nothing of weights.
#pragma once
#include "formats/config_reader.h"
#include "formats/model_config.h"

namespace kakeya::formats {

// Keys may stand at top level or inside dflash_config. `config` has its sizes and layer types already.
Result<DFlashConfig> read_dflash_config(const ConfigReader& reader, const ModelConfig& config);

// What z-lab's code uses when the file has no target_layer_ids: `taps` ids spread from 1 to
// num_target_layers - 3, rounded half to even. Empty when they would not be distinct layers.
std::vector<std::size_t> default_target_layer_ids(std::size_t num_target_layers, std::size_t taps);

}  // namespace kakeya::formats
