// Log-softmax arithmetic in double.
#include "decode/fidelity.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "decode/sampler.h"

namespace kakeya::decode {
namespace {

double log_sum_exp(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - top);
  return top + std::log(sum);
}

}  // namespace

double negative_log_likelihood(std::span<const float> logits, Token token) {
  KAKEYA_CHECK(token >= 0 && static_cast<std::size_t>(token) < logits.size());
  return log_sum_exp(logits) - logits[static_cast<std::size_t>(token)];
}

RowFidelity compare_rows(std::span<const float> row, std::span<const float> baseline, Token token) {
  KAKEYA_CHECK(row.size() == baseline.size() && token >= 0 && static_cast<std::size_t>(token) < row.size());
  RowFidelity out;
  out.top1_agrees = argmax(row) == argmax(baseline);
  const double norm = log_sum_exp(row);
  const double base_norm = log_sum_exp(baseline);
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double base_log = baseline[i] - base_norm;
    out.kl += std::exp(base_log) * (base_log - (row[i] - norm));
  }
  out.nll = norm - row[static_cast<std::size_t>(token)];
  out.nll_baseline = base_norm - baseline[static_cast<std::size_t>(token)];
  return out;
}

void add_position(const RowFidelity& row, ForcedResult& result) {
  if (row.top1_agrees) {
    ++result.top1_agree;
  } else if (result.first_divergence < 0) {
    result.first_divergence = static_cast<std::ptrdiff_t>(result.positions);
  }
  result.kl_sum += row.kl;
  result.nll_sum += row.nll;
  result.nll_baseline_sum += row.nll_baseline;
  ++result.positions;
}

}  // namespace kakeya::decode
