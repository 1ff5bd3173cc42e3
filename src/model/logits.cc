// From hidden states to checked logits.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <limits>

#include "model/layer.h"

namespace kakeya::model {
namespace {

bool all_finite(std::span<const float> x) {
  // In steps of a fixed size, so that the compiler takes several values at a time.
  constexpr std::size_t kStep = 16;
  const auto exponent_full = [](float value) {
    return static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & 0x7f800000u) == 0x7f800000u);
  };
  std::uint32_t bad[kStep] = {};
  std::size_t i = 0;
  for (; i + kStep <= x.size(); i += kStep) {
    for (std::size_t l = 0; l < kStep; ++l) bad[l] |= exponent_full(x[i + l]);
  }
  for (std::size_t l = 0; i < x.size(); ++i, ++l) bad[l] |= exponent_full(x[i]);
  return std::ranges::all_of(bad, [](std::uint32_t b) { return b == 0; });
}

// Notes the lowest row that is not finite, from any thread.
class BadRow {
 public:
  void look_at(Rows<const float> x, std::size_t first) {
    for (std::size_t r = 0; r < x.rows; ++r) {
      if (all_finite(x.row(r))) continue;
      std::size_t seen = lowest_.load();
      while (first + r < seen && !lowest_.compare_exchange_weak(seen, first + r)) {
      }
      return;
    }
  }
  Status status(const char* what, std::size_t first_row) const {
    const std::size_t bad = lowest_.load();
    if (bad == kNone) return {};
    return Error{ErrorCode::kNumeric,
                 fmt::format("forward pass: {} at position {}: NaN or infinity", what, first_row + bad)};
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::atomic<std::size_t> lowest_{kNone};
};

}  // namespace

Status check_finite(const Compute& compute, Rows<const float> x, const char* what, std::size_t first_row) {
  BadRow bad;
  compute.pool->parallel_for(x.rows, [&](std::size_t r, int) { bad.look_at(x.sub(r, 1), r); });
  return bad.status(what, first_row);
}

Status project_logits(const Compute& compute, const LogitPass& pass, Rows<const float> hidden,
                      Rows<float> normed, Rows<float> logits) {
  kernels::OperandForms forms;
  forms.add(*compute.ops, pass.head);
  const kernels::Operand x = norm_rows(compute, hidden, pass.norm, pass.eps, normed,
                                       operand_memory(compute, forms, hidden.rows, hidden.cols));
  BadRow bad;
  const kernels::Product product = {pass.head, logits};
  const auto look = [&](const kernels::Columns& c) {
    bad.look_at({logits.data + c.first, logits.rows, c.last - c.first, logits.stride}, 0);
  };
  kernels::multiply(compute, {&product, 1}, x, {.after = kernels::AfterColumns(look)});
  return bad.status(pass.what, pass.first_row);
}

}  // namespace kakeya::model
