// One vector for a text: the mean over its positions of what the head would read.
#pragma once
#include <vector>

#include "decode/target_run.h"

namespace kakeya::decode {

// Runs `ids` from an empty cache. [hidden].
Result<std::vector<float>> embed(TargetRun& target, const model::Model& model, kernels::Compute compute,
                                 std::span<const Token> ids);

}  // namespace kakeya::decode
