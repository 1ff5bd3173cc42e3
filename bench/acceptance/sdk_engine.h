// The benchmark's engine through the public SDK.
#pragma once
#include "acceptance/bench_engine.h"

namespace kakeya::acceptance {

// Loads both models and digests their weight files. Errors: those of Engine::open.
Result<std::unique_ptr<BenchEngine>> open_sdk_engine(const EngineOptions& options);

}  // namespace kakeya::acceptance
