// The "quantization" part of config.json as MLX writes it. Knows nothing of tensors (formats/affine.h does).
#pragma once
#include "formats/config_reader.h"
#include "formats/model_config.h"

namespace kakeya::formats {

// Sets affine and affine_of. "quantization_config" alone counts when it is MLX's own; those of other
// quantisers, other modes than affine and other widths than 4 and 8 bits are refused by name.
Status read_affine_config(const ConfigReader& reader, ModelConfig& config);

}  // namespace kakeya::formats
