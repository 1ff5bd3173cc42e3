// The sampling chain and its counter-based uniforms.
#include "decode/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace kakeya::decode {
namespace {

// Zeroes every probability outside the k largest; of equal ones the lower ids stay.
void keep_top_k(std::span<float> probs, std::size_t k) {
  if (k == 0 || k >= probs.size()) return;
  std::vector<float> sorted(probs.begin(), probs.end());
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k - 1), sorted.end(),
                   std::greater<>());
  const float limit = sorted[k - 1];
  auto ties = k - static_cast<std::size_t>(
                      std::count_if(probs.begin(), probs.end(), [&](float p) { return p > limit; }));
  for (float& p : probs) {
    if (p > limit) continue;
    if (p == limit && ties > 0) {
      --ties;
    } else {
      p = 0;
    }
  }
}

// Keeps the shortest run of largest probabilities that holds `share` of their sum; at least one.
void keep_top_p(std::span<float> probs, double share) {
  if (share >= 1.0) return;
  std::vector<std::uint32_t> order;
  double total = 0;
  for (std::size_t i = 0; i < probs.size(); ++i) {
    if (probs[i] > 0) order.push_back(static_cast<std::uint32_t>(i));
    total += probs[i];
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return probs[a] > probs[b]; });
  double held = 0;
  for (const std::uint32_t id : order) {
    if (held >= share * total) {
      probs[id] = 0;
    } else {
      held += probs[id];
    }
  }
}

void keep_min_p(std::span<float> probs, float ratio) {
  if (ratio <= 0) return;
  const float limit = ratio * *std::max_element(probs.begin(), probs.end());
  for (float& p : probs) {
    if (p < limit) p = 0;
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

double uniform(std::uint64_t seed, std::uint64_t position, std::uint32_t stream) {
  const auto bits =
      philox({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), stream, 0},
             {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  const std::uint64_t word = (std::uint64_t{bits[0]} << 32) | bits[1];
  return static_cast<double>(word >> 11) * 0x1p-53;
}

Status check_sampling(const SamplingOptions& options) {
  const auto refuse = [](const char* name, double value, const char* range) {
    return invalid_argument(fmt::format("sampling: {} is {}, expected {}", name, value, range));
  };
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    return refuse("temperature", options.temperature, "a finite number, 0 or more");
  }
  if (options.top_k < 0) return refuse("top_k", options.top_k, "0 (off) or more");
  if (!(options.top_p > 0 && options.top_p <= 1))
    return refuse("top_p", options.top_p, "more than 0, at most 1");
  if (!(options.min_p >= 0 && options.min_p <= 1)) return refuse("min_p", options.min_p, "0 to 1");
  return {};
}

Token argmax(std::span<const float> logits) {
  KAKEYA_CHECK(!logits.empty());
  // The largest value first, in steps of a fixed size, so that the compiler takes several values at a time.
  constexpr std::size_t kStep = 16;
  float largest[kStep];
  std::fill_n(largest, kStep, -std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kStep <= logits.size(); i += kStep) {
    for (std::size_t l = 0; l < kStep; ++l) {
      largest[l] = largest[l] < logits[i + l] ? logits[i + l] : largest[l];
    }
  }
  for (; i < logits.size(); ++i) largest[0] = std::max(largest[0], logits[i]);
  const float top = *std::max_element(largest, largest + kStep);
  const auto at = std::find(logits.begin(), logits.end(), top);
  return at == logits.end() ? 0 : static_cast<Token>(at - logits.begin());
}

void distribution(std::span<const float> logits, const SamplingOptions& options, std::span<float> probs) {
  KAKEYA_CHECK(probs.size() == logits.size() && options.temperature > 0);
  const float top = *std::max_element(logits.begin(), logits.end());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    probs[i] = std::exp((logits[i] - top) / options.temperature);
  }
  keep_top_k(probs, static_cast<std::size_t>(options.top_k));
  keep_top_p(probs, options.top_p);
  keep_min_p(probs, options.min_p);
  const double total = std::accumulate(probs.begin(), probs.end(), 0.0);
  for (float& p : probs) p = static_cast<float>(p / total);
}

Token pick(std::span<const float> probs, double u) {
  const double point = u * std::accumulate(probs.begin(), probs.end(), 0.0);
  double held = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < probs.size(); ++i) {
    if (probs[i] <= 0) continue;
    held += probs[i];
    last = i;
    if (point < held) break;
  }
  return static_cast<Token>(last);
}

Token sample(std::span<const float> logits, const SamplingOptions& options, std::uint64_t position,
             std::vector<float>& scratch) {
  if (options.temperature <= 0) return argmax(logits);
  scratch.resize(logits.size());
  distribution(logits, options, scratch);
  return pick(scratch, uniform(options.seed, position, kTargetStream));
}

}  // namespace kakeya::decode
