// What makes two cells the same measurement. Written at the head of every journal and into every result, so
// that
// --resume can refuse to mix two measurements and name the difference.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "acceptance/bench_engine.h"
#include "acceptance/dataset.h"
#include "acceptance/options.h"

namespace kakeya::acceptance {

nlohmann::ordered_json cell_identity(const RunOptions& options, const BenchEngine& engine,
                                     const Dataset& dataset, const ChannelFacts& channel,
                                     const GenerationSettings& settings);

// "params.max_tokens: 64 there, 256 now"; empty when equal.
std::string identity_difference(const nlohmann::ordered_json& there, const nlohmann::ordered_json& now);

}  // namespace kakeya::acceptance
