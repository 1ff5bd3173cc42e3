// A deterministic engine without a model, for --dry-run: its acceptance follows the original proposal's
// theory (15 / 14 / 12 / 8 of 16 for bf16 / e8-q38 / e8-q10 / e8-q4). It measures nothing.
#pragma once
#include "acceptance/bench_engine.h"

namespace kakeya::acceptance {

std::unique_ptr<BenchEngine> make_mock_engine(std::size_t block_size);

// Theoretical tokens a cycle at block 16; every channel of the registry has one.
double mock_tau16(const ChannelFacts& channel);

// Problems for a dry run where no data set is at hand; source "synthetic", path "mock".
// Errors: kInvalidArgument for a name that load_dataset would not know either.
Result<Dataset> mock_dataset(const std::string& name, std::size_t n_samples, std::uint64_t seed);

}  // namespace kakeya::acceptance
