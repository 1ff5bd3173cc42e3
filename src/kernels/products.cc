// Who computes which columns. A column's value never depends on it.
#include "kernels/products.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>

#include "base/check.h"

namespace kakeya::kernels {
namespace {

// Multiply-adds below which a fork costs more than it saves (a fork-join is about a microsecond).
constexpr std::size_t kMinForkWork = std::size_t{1} << 16;
// Weights that a thread takes at once. At first many: reading on from where a thread stands is a tenth faster
// than starting somewhere else. Towards the end few, since the loss is the last thread to end.
constexpr std::size_t kMostWork = std::size_t{1} << 22;
constexpr std::size_t kLeastWork = std::size_t{1} << 16;
// With more rows than this a weight costs more than its bytes.
constexpr std::size_t kRowsPerRead = 16;
// Columns that threads take are a multiple of this, so that full register blocks stay full.
constexpr std::size_t kColumnStep = 8;
// Large pieces are a multiple of this many columns: panels that kernels put side by side. With few rows no
// piece is smaller, since a panel alone is read more slowly.
constexpr std::size_t kWholeColumns = 4 * kPanelOutputs;
constexpr std::size_t kFewRows = 8;
// Columns that go through many split rows together, if there are so many.
constexpr std::size_t kSplitColumns = 256;
// Values that one task brings into other forms.
constexpr std::size_t kValuesPerTask = std::size_t{1} << 13;

struct Range {
  std::size_t first = 0, last = 0;
};

// Hands out units so that a thread goes through neighbours, in memory too, as long as it can, in ever smaller
// pieces. Who has done his share takes from the end of the others'.
class Shares {
 public:
  // Pieces of `whole` units or more are a multiple of that.
  Shares(std::size_t units, std::size_t threads, Range piece, std::size_t whole)
      : piece_(piece), whole_(whole), count_(std::min(threads, kMost)) {
    for (std::size_t i = 0; i < count_; ++i) {
      shares_[i].left.store(pack(units * i / count_, units * (i + 1) / count_), std::memory_order_relaxed);
    }
  }
  // False when nothing is left.
  bool take(std::size_t thread, Range& out) {
    const std::size_t own = thread % count_;
    if (take_of(shares_[own], false, out)) return true;
    for (std::size_t i = 1; i < count_; ++i) {
      if (take_of(shares_[(own + i) % count_], true, out)) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kMost = 16;
  struct alignas(64) Share {
    std::atomic<std::uint64_t> left{0};
  };
  static std::uint64_t pack(std::size_t first, std::size_t last) {
    return std::uint64_t{first} << 32 | std::uint64_t{last};
  }

  bool take_of(Share& share, bool from_end, Range& out) const {
    std::uint64_t left = share.left.load(std::memory_order_relaxed);
    for (;;) {
      const Range range = {static_cast<std::size_t>(left >> 32),
                           static_cast<std::size_t>(left & 0xffffffffu)};
      if (range.first >= range.last) return false;
      const std::size_t units = range.last - range.first;
      std::size_t n = std::min(units, std::clamp(units / 3, piece_.first, piece_.last));
      if (n > whole_) n -= n % whole_;
      const Range rest = from_end ? Range{range.first, range.last - n} : Range{range.first + n, range.last};
      if (!share.left.compare_exchange_weak(left, pack(rest.first, rest.last), std::memory_order_relaxed)) {
        continue;
      }
      out = from_end ? Range{rest.last, range.last} : Range{range.first, rest.first};
      return true;
    }
  }

  std::array<Share, kMost> shares_;
  Range piece_;  // fewest and most units at a time
  std::size_t whole_;
  std::size_t count_;
};

// One call of multiply.
struct Call {
  const Compute& compute;
  std::span<const Product> products;
  const Operand& operand;
  const ProductPlan& plan;

  void run(std::size_t product, std::size_t first, std::size_t last) const {
    const Product& p = products[product];
    if (is_quantised(p.w.type)) {
      compute.ops->panel_matmul_range(p.w, operand.rounded, p.y, first, last);
    } else if (takes_split_rows(*compute.ops, p.w)) {
      compute.ops->split_matmul_range(p.w, operand.split, p.y, first, last);
    } else {
      compute.ops->matmul_range(p.w, operand.x, p.y, first, last);
    }
  }

  // Columns of one product, or of all when they go together.
  void run_and_after(std::size_t product, std::size_t first, std::size_t last) const {
    for (std::size_t p = plan.together ? 0 : product; p <= product; ++p) run(p, first, last);
    plan.after({product, first, last});
  }

  // The products that columns are counted in: one stands for all when they go together.
  std::size_t first_counted() const { return plan.together ? products.size() - 1 : 0; }

  void run_units(Range units, std::size_t step) const {
    std::size_t before = 0;
    for (std::size_t p = first_counted(); p < products.size(); ++p) {
      const std::size_t out = products[p].w.out, own = (out + step - 1) / step;
      const std::size_t first = std::max(units.first, before), last = std::min(units.last, before + own);
      if (first < last) run_and_after(p, (first - before) * step, std::min(out, (last - before) * step));
      before += own;
    }
  }
};

// Fewest and most units that a thread takes at once.
Range piece_of(std::size_t weights, std::size_t units, std::size_t threads, std::size_t rows) {
  const std::size_t work = weights * std::max<std::size_t>(1, rows / kRowsPerRead);
  const std::size_t per_unit = std::max<std::size_t>(1, work / units);
  const std::size_t least = std::clamp(work / threads / 32, kLeastWork, 4 * kLeastWork);
  const std::size_t fewest = std::max<std::size_t>(1, least / per_unit);
  return {fewest, std::max(fewest, kMostWork / per_unit)};
}

OperandForms forms_of(const Table& ops, std::span<const Product> products) {
  OperandForms forms;
  for (const Product& p : products) forms.add(ops, p.w);
  return forms;
}

void check(const Call& call) {
  const Rows<const float>& x = call.operand.x;
  for (const Product& p : call.products) {
    KAKEYA_CHECK(x.cols == p.w.in && p.y.cols == p.w.out && x.rows == p.y.rows);
    OperandForms needed;
    needed.add(*call.compute.ops, p.w);
    const Int8Rows& rounded = call.operand.rounded;
    const SplitRows& split = call.operand.split;
    KAKEYA_CHECK(!needed.int8 || (rounded.rows == x.rows && rounded.cols == x.cols));
    KAKEYA_CHECK(!needed.split || (split.rows == x.rows && split.cols == x.cols));
    KAKEYA_CHECK(!call.plan.together || p.w.out == call.products.front().w.out);
  }
}

}  // namespace

void multiply(const Compute& compute, std::span<const Product> products, const Operand& operand,
              const ProductPlan& plan) {
  const Call call = {compute, products, operand, plan};
  check(call);
  const std::size_t rows = operand.x.rows, in = operand.x.cols;
  if (rows == 0 || products.empty()) return;
  const auto threads = static_cast<std::size_t>(compute.pool->threads());
  const OperandForms forms = forms_of(*compute.ops, products);
  const std::size_t step = std::lcm(plan.column_step, forms.any() ? kPanelOutputs : kColumnStep);
  std::size_t columns = 0, units = 0;
  for (std::size_t p = 0; p < products.size(); ++p) {
    columns += products[p].w.out;
    if (p >= call.first_counted()) units += (products[p].w.out + step - 1) / step;
  }
  if (threads == 1 || columns * in * rows < kMinForkWork) {
    for (std::size_t p = call.first_counted(); p < products.size(); ++p) {
      call.run_and_after(p, 0, products[p].w.out);
    }
    return;
  }
  Range piece = piece_of(columns * in, units, threads, rows);
  // As far as every thread still gets two.
  const auto take_at_least = [&](std::size_t fewest) {
    piece.first = std::max(piece.first, std::min(fewest, units / threads / 2));
    piece.last = std::max(piece.first, piece.last);
  };
  const std::size_t whole = std::max<std::size_t>(1, kWholeColumns / step);
  if (forms.split && rows > 2 * SplitRows::kGroup) take_at_least(kSplitColumns / step);
  if (forms.int8 && rows <= kFewRows) take_at_least(whole);
  Shares shares(units, threads, piece, whole);
  compute.pool->parallel_for(threads, [&](std::size_t, int thread) {
    for (Range range; shares.take(static_cast<std::size_t>(thread), range);) call.run_units(range, step);
  });
}

void OperandForms::add(const Table& ops, const Weight& w) {
  int8 = int8 || is_quantised(w.type);
  split = split || takes_split_rows(ops, w);
}

std::size_t operand_bytes(const OperandForms& forms, std::size_t rows, std::size_t cols) {
  return (forms.int8 ? int8_rows_bytes(rows, cols) : 0) + (forms.split ? split_rows_bytes(rows, cols) : 0);
}

void Operand::fill(const Table& ops, Rows<const float> from, std::size_t row, std::size_t column) const {
  if (rounded.rows > 0) ops.quantise_rows(from, rounded, row, column);
  if (split.rows > 0) ops.split_rows(from, split, row, column);
}

Operand unfilled_operand(Rows<const float> x, const OperandMemory& memory) {
  Operand out = {x, {}, {}};
  std::span<std::byte> left = memory.bytes;
  if (memory.forms.split) {
    out.split = split_rows_in(left, x.rows, x.cols);
    left = left.subspan(split_rows_bytes(x.rows, x.cols));
  }
  if (memory.forms.int8) out.rounded = int8_rows_in(left, x.rows, x.cols);
  return out;
}

// Neighbouring rows of a group share cache lines, so threads share columns first.
void fill_operand(const Compute& compute, const Operand& operand) {
  const Rows<const float>& x = operand.x;
  const std::size_t run = std::min(x.rows, Int8Rows::kGroup);
  const std::size_t blocks = kValuesPerTask / std::max<std::size_t>(1, run) / kActivationBlock;
  const std::size_t width = std::max<std::size_t>(1, blocks) * kActivationBlock;
  const std::size_t across = (x.cols + width - 1) / width, down = (x.rows + run - 1) / run;
  compute.pool->parallel_for(across * down, [&](std::size_t task, int) {
    const std::size_t row = task / across * run, column = task % across * width;
    const Rows<const float> part(x.data + row * x.stride + column, std::min(run, x.rows - row),
                                 std::min(width, x.cols - column), x.stride);
    operand.fill(*compute.ops, part, row, column);
  });
}

Operand operand_of(const Compute& compute, Rows<const float> x, const OperandMemory& memory) {
  const Operand out = unfilled_operand(x, memory);
  if (memory.forms.any() && x.rows > 0) fill_operand(compute, out);
  return out;
}

void matmul(const Compute& compute, const Weight& w, Rows<const float> x, Rows<float> y) {
  const Product product = {w, y};
  matmul_all(compute, {&product, 1}, x);
}

void matmul_all(const Compute& compute, std::span<const Product> products, Rows<const float> x) {
  if (x.rows == 0) return;
  const OperandForms forms = forms_of(*compute.ops, products);
  const std::size_t bytes = operand_bytes(forms, x.rows, x.cols);
  const std::span<std::byte> memory = forms.any() ? compute.pool->scratch(bytes) : std::span<std::byte>();
  multiply(compute, products, operand_of(compute, x, {forms, memory}), {});
}

}  // namespace kakeya::kernels
