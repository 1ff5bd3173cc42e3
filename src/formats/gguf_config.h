// The metadata of a GGUF file as the configuration of a model. For model_config.cc and gguf_tokenizer.cc;
// others call load_model_config and load_generation_config.
#pragma once
#include <kakeya/result.h>

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>

#include "formats/gguf.h"
#include "formats/model_config.h"

namespace kakeya::formats {

// Architectures qwen3, llama and dflash; relatives, other RoPE scalings and tensors that have no place in
// them are refused by name. Errors: kCorruptData, kUnsupported naming file, key, found and expected.
Result<ModelConfig> gguf_model_config(const GgufFile& file);
// End-of-text ids are those of the metadata, and the control tokens that end a turn by their name.
Result<GenerationConfig> gguf_generation_config(const GgufFile& file);

// The metadata for ConfigReader: all of it but long lists and the chat template.
nlohmann::json gguf_metadata_json(const GgufFile& file);

// The "llama3" scaling that gives these factors (rope_freqs.weight, one per pair of a head), if there is one.
// `original` is the context length before scaling, 0 when the file does not say.
std::optional<RopeScaling> scaling_of_factors(std::span<const float> factors, double theta, double original);

}  // namespace kakeya::formats
