// Softmax in double, so that small probabilities keep their digits.
#include "decode/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace kakeya::decode {

TokenLogprob logprob_of(std::span<const float> logits, Token id, int top) {
  KAKEYA_CHECK(id >= 0 && static_cast<std::size_t>(id) < logits.size() && top >= 0);
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  const double log_sum = largest + std::log(sum);
  const auto logprob = [&](Token token) {
    return static_cast<float>(logits[static_cast<std::size_t>(token)] - log_sum);
  };
  TokenLogprob out;
  out.id = id;
  out.logprob = logprob(id);
  std::vector<Token> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count =
      static_cast<std::ptrdiff_t>(std::min<std::size_t>(static_cast<std::size_t>(top), order.size()));
  if (count == 0) return out;
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](Token a, Token b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const Token token = order[static_cast<std::size_t>(i)];
    out.top.emplace_back(token, logprob(token));
  }
  return out;
}

}  // namespace kakeya::decode
