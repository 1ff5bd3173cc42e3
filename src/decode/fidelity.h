// How far one row of logits is from a baseline's row for the same prefix.
#pragma once
#include <kakeya/session.h>

#include <span>

namespace kakeya::decode {

struct RowFidelity {
  bool top1_agrees = false;
  double kl = 0;            // nats, KL(baseline || row), both softmax at temperature 1
  double nll = 0;           // nats, of `token` under the row
  double nll_baseline = 0;  // the same under the baseline
};

RowFidelity compare_rows(std::span<const float> row, std::span<const float> baseline, Token token);

// Nats of `token` under softmax(logits).
double negative_log_likelihood(std::span<const float> logits, Token token);

// Adds the next position of the reference to `result`.
void add_position(const RowFidelity& row, ForcedResult& result);

}  // namespace kakeya::decode
