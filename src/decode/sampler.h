// Logits -> token. Temperature 0 is argmax, lowest id on a tie. The chain is temperature, top-k, top-p,
// min-p. Not for deciding which drafts stand: that is accept.h.
#pragma once
#include <kakeya/options.h>
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace kakeya::decode {

// Philox4x32-10 (Salmon et al., SC 2011): 128 bits as a function of counter and key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// A counter-based generator: the draw for (seed, position, stream) never depends on what was drawn before, so
// decoding with and without a drafter sees the same uniforms. In [0, 1), 53 bits.
double uniform(std::uint64_t seed, std::uint64_t position, std::uint32_t stream);

// What the uniforms of one position are for. Streams are independent of each other.
inline constexpr std::uint32_t kTargetStream = 0;    // the target's own sample
inline constexpr std::uint32_t kAcceptStream = 1;    // does the draft stand (rejection rule)
inline constexpr std::uint32_t kDraftStream = 2;     // the draft's sample (rejection rule)
inline constexpr std::uint32_t kResidualStream = 3;  // the replacement of a rejected draft

// Errors: kInvalidArgument naming the option, the value and its range.
Status check_sampling(const SamplingOptions& options);

Token argmax(std::span<const float> logits);

// Probabilities after the whole chain, fp32, sum 1; probs has logits.size() values. temperature > 0.
void distribution(std::span<const float> logits, const SamplingOptions& options, std::span<float> probs);

// The token at the cumulative point u in [0, 1); never a token of probability 0.
Token pick(std::span<const float> probs, double u);

// argmax at temperature 0; otherwise a draw with uniform(options.seed, position, 0).
Token sample(std::span<const float> logits, const SamplingOptions& options, std::uint64_t position,
             std::vector<float>& scratch);

}  // namespace kakeya::decode
