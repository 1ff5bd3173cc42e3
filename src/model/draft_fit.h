// Whether a draft can run with a target, asked of configurations and the headers of the draft's files: no
// weight is read. DFlashDraft::load refuses the same pairs in the same words.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <vector>

#include "formats/model_config.h"
#include "formats/safetensors.h"

namespace kakeya::model {

// Sizes, tapped layers, mask and block of the draft against the target. `what` names the draft in messages.
// Errors: kUnsupported (both values are named), kCorruptData.
Status check_draft_fit(const formats::ModelConfig& draft, const formats::ModelConfig& target,
                       const std::string& what);

// Every tensor of the draft: name, dtype, and the shape that taps, heads and head_dim ask for. Errors:
// kNotFound, kCorruptData, kUnsupported.
Status check_draft_tensors(const formats::ModelConfig& draft, const formats::TensorStore& store,
                           const std::string& what);

// What runs but is not what a draft trained for this target has; each a sentence with both values.
std::vector<std::string> draft_oddities(const formats::ModelConfig& draft,
                                        const formats::ModelConfig& target);

}  // namespace kakeya::model
