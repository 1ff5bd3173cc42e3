// Logits -> token. Temperature 0 is argmax, lowest id on a tie. The chain is temperature, top-k, top-p, min-p.
#pragma once
#include <kakeya/options.h>
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <cstdint>
#include <span>
#include <vector>

namespace kakeya::decode {

// A counter-based generator: the draw for (seed, position, stream) never depends on what was drawn before, so
// decoding with and without a drafter sees the same uniforms.
double uniform(std::uint64_t seed, std::uint64_t position, std::uint32_t stream);

Token argmax(std::span<const float> logits);

// Probabilities after the whole chain, fp32, sum 1; probs has logits.size() values. temperature > 0.
void distribution(std::span<const float> logits, const SamplingOptions& options, std::span<float> probs);

// The token at the cumulative point u in [0, 1); never a token of probability 0.
Token pick(std::span<const float> probs, double u);

// argmax at temperature 0; otherwise a draw with uniform(options.seed, position, 0).
Token sample(std::span<const float> logits, const SamplingOptions& options, std::uint64_t position,
             std::vector<float>& scratch);

}  // namespace kakeya::decode
