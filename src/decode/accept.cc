// The two acceptance rules.
#include "decode/accept.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "decode/sampler.h"

namespace kakeya::decode {
namespace {

// A draw from max(0, p - q), in place of p. An empty q is certainty of `draft`.
Token draw_residual(std::span<float> p, std::span<const float> q, Token draft, double u) {
  const auto at = static_cast<std::size_t>(draft);
  double mass = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const float proposed = q.empty() ? (i == at ? 1.0f : 0.0f) : q[i];
    mass += std::max(0.0f, p[i] - proposed);
  }
  if (mass <= 0) return pick(p, u);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const float proposed = q.empty() ? (i == at ? 1.0f : 0.0f) : q[i];
    p[i] = std::max(0.0f, p[i] - proposed);
  }
  return pick(p, u);
}

// The row that predicts draft i, as the rules leave it.
std::span<const float> ruled_row(const VerifyInput& input, std::size_t i) {
  const std::span<const float> row = input.logits.row(i);
  return input.rules == nullptr ? row : input.rules->apply(row);
}

void hear(const VerifyInput& input, Token token) {
  if (input.rules != nullptr) input.rules->accept(token);
}

}  // namespace

Verdict accept_target_sample(const VerifyInput& input, std::vector<float>& scratch) {
  KAKEYA_CHECK(input.logits.rows == input.drafts.size() + 1);
  for (std::size_t i = 0;; ++i) {
    const Token own = sample(ruled_row(input, i), input.sampling, input.position + i, scratch);
    hear(input, own);
    if (i == input.drafts.size() || input.drafts[i] != own) return {i, own};
  }
}

Verdict accept_rejection(const VerifyInput& input, Rows<const float> q, std::vector<float>& scratch) {
  KAKEYA_CHECK(input.logits.rows == input.drafts.size() + 1);
  KAKEYA_CHECK(q.rows == 0 || q.rows >= input.drafts.size());
  const std::uint64_t seed = input.sampling.seed;
  scratch.resize(input.logits.cols);
  const std::span<float> p(scratch);
  for (std::size_t i = 0; i < input.drafts.size(); ++i) {
    const std::uint64_t position = input.position + i;
    const Token draft = input.drafts[i];
    const auto at = static_cast<std::size_t>(draft);
    distribution(ruled_row(input, i), input.sampling, p);
    const auto proposed = q.rows == 0 ? std::span<const float>() : q.row(i);
    const double chance = proposed.empty() ? 1.0 : proposed[at];
    if (uniform(seed, position, kAcceptStream) * chance < p[at]) {
      hear(input, draft);
      continue;
    }
    const Token next = draw_residual(p, proposed, draft, uniform(seed, position, kResidualStream));
    hear(input, next);
    return {i, next};
  }
  const std::size_t last = input.drafts.size();
  const Token next = sample(ruled_row(input, last), input.sampling, input.position + last, scratch);
  hear(input, next);
  return {last, next};
}

}  // namespace kakeya::decode
