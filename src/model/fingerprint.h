// Which model computed something: a digest that is cheap for a large model and that no other model shares.
#pragma once
#include <string>
#include <string_view>

#include "formats/model_config.h"
#include "formats/safetensors.h"

namespace kakeya::model {

// SHA-256 in hex over the configuration values that shape a result and, for every tensor in the order of
// names, its name, dtype, shape and samples of its bytes: 64 pieces of 64, evenly spaced, or all of a small
// tensor. `path` is the one the model was loaded from; of a model of random weights it takes the tensors'
// place
// ("random:..."). Reads at most 4 KiB a tensor, from the mapped files. Another change than of the sampled
// bytes goes unseen: a guard against mistakes, not against forgery.
std::string model_fingerprint(const formats::ModelConfig& config, const formats::TensorStore& tensors,
                              std::string_view path);

}  // namespace kakeya::model
