// The table of CPU variants and the threaded matmul. The maths is in scalar.cc and simd.cc.
#include "kernels/kernels.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "base/check.h"
#include "kernels/panels.h"
#include "kernels/variants.h"

namespace kakeya::kernels {
namespace {

// Below this many multiply-adds a fork costs more than it saves (a fork-join is about a microsecond).
constexpr std::size_t kMinTaskWork = std::size_t{1} << 15;
// Tasks per thread: enough that a delayed thread does not hold up the others.
constexpr std::size_t kTasksPerThread = 4;
// Quantised weights of a task: products of panels wait for memory, and their loss is the last task to end.
constexpr std::size_t kPanelTaskWeights = std::size_t{1} << 22;
// Columns per task are a multiple of this, so that full register blocks and panels stay full.
constexpr std::size_t kColumnStep = 8;
// Values that one task rounds to int8.
constexpr std::size_t kRoundedPerTask = std::size_t{1} << 15;

const std::vector<const Table*>& variants() {
  static const std::vector<const Table*> list = [] {
    std::vector<const Table*> out = {&scalar_table()};
    append_simd_tables(out);
    return out;
  }();
  return list;
}

// Columns of all products of a call, and how they are cut.
struct Split {
  std::size_t columns = 0;

  // Columns per task; all of them when one thread does it.
  std::size_t step(const Compute& compute, Rows<const float> x, bool quantised) const {
    const auto threads = static_cast<std::size_t>(compute.pool->threads());
    const std::size_t work = x.rows * x.cols * columns;
    if (threads == 1 || work < 2 * kMinTaskWork) return columns;
    const std::size_t multiple = quantised ? kPanelOutputs : kColumnStep;
    std::size_t wanted = threads * kTasksPerThread;
    if (quantised) wanted = std::max(wanted, x.cols * columns / kPanelTaskWeights);
    wanted = std::min(wanted, work / kMinTaskWork);
    const std::size_t even = (columns + wanted - 1) / wanted;
    return (even + multiple - 1) / multiple * multiple;
  }
};

// Hands out tasks so that a thread goes through neighbours, in memory too, as long as it can: reading on from
// where it stands is a tenth faster than starting somewhere else. Who has done his share helps the others.
class Shares {
 public:
  Shares(std::size_t tasks, std::size_t threads) : count_(std::min(threads, kMost)) {
    for (std::size_t i = 0; i < count_; ++i) {
      shares_[i].next.store(tasks * i / count_, std::memory_order_relaxed);
      shares_[i].end = tasks * (i + 1) / count_;
    }
  }
  // To be called once per task.
  std::size_t take(std::size_t thread) {
    for (std::size_t i = 0; i < count_; ++i) {
      Share& share = shares_[(thread + i) % count_];
      if (share.next.load(std::memory_order_relaxed) >= share.end) continue;
      const std::size_t task = share.next.fetch_add(1, std::memory_order_relaxed);
      if (task < share.end) return task;
    }
    KAKEYA_CHECK(!"as many tasks as calls");
    return 0;
  }

 private:
  static constexpr std::size_t kMost = 16;
  struct alignas(64) Share {
    std::atomic<std::size_t> next{0};
    std::size_t end = 0;
  };
  std::array<Share, kMost> shares_;
  std::size_t count_;
};

// x as int8 in the pool's scratch memory.
Int8Rows round_rows(const Compute& compute, Rows<const float> x) {
  const Int8Rows out = int8_rows_in(compute.pool->scratch(int8_rows_bytes(x.rows, x.cols)), x.rows, x.cols);
  const std::size_t rows = std::max<std::size_t>(1, kRoundedPerTask / x.cols);
  compute.pool->parallel_for((x.rows + rows - 1) / rows, [&](std::size_t task, int) {
    const std::size_t first = task * rows;
    compute.ops->quantise_rows(x.sub(first, std::min(rows, x.rows - first)), out, first);
  });
  return out;
}

}  // namespace

std::size_t bytes_per_weight(WeightType type) {
  KAKEYA_CHECK(!is_quantised(type));
  return type == WeightType::kF32 ? 4 : 2;
}

bool is_quantised(WeightType type) {
  return type != WeightType::kF32 && type != WeightType::kF16 && type != WeightType::kBf16;
}

const char* to_string(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return "f32";
    case WeightType::kF16:
      return "f16";
    case WeightType::kBf16:
      return "bf16";
    case WeightType::kQ8_0:
      return "q8_0";
    case WeightType::kQ4_0:
      return "q4_0";
    case WeightType::kQ4K:
      return "q4_k";
    case WeightType::kQ5K:
      return "q5_k";
    case WeightType::kQ6K:
      return "q6_k";
    case WeightType::kAffine4:
      return "affine4";
    case WeightType::kAffine8:
      return "affine8";
  }
  return "unknown";
}

std::span<const Table* const> available() { return variants(); }

const Table* find(std::string_view name) {
  for (const Table* table : variants()) {
    if (name == table->name) return table;
  }
  return nullptr;
}

const Table& best() { return *variants().back(); }

void matmul(const Compute& compute, const Weight& w, Rows<const float> x, Rows<float> y) {
  const Product product = {w, y};
  matmul_all(compute, {&product, 1}, x);
}

void matmul_all(const Compute& compute, std::span<const Product> products, Rows<const float> x) {
  Split split;
  bool quantised = false;
  for (const Product& p : products) {
    KAKEYA_CHECK(x.cols == p.w.in && p.y.cols == p.w.out && x.rows == p.y.rows);
    split.columns += p.w.out;
    quantised = quantised || is_quantised(p.w.type);
  }
  if (x.rows == 0 || split.columns == 0) return;
  Int8Rows rounded;
  if (quantised) rounded = round_rows(compute, x);
  const auto run = [&](const Product& p, std::size_t first, std::size_t last) {
    if (is_quantised(p.w.type)) return compute.ops->panel_matmul_range(p.w, rounded, p.y, first, last);
    compute.ops->matmul_range(p.w, x, p.y, first, last);
  };
  const std::size_t step = split.step(compute, x, quantised);
  if (step >= split.columns) {
    for (const Product& p : products) run(p, 0, p.w.out);
    return;
  }
  std::size_t tasks = 0;
  for (const Product& p : products) tasks += (p.w.out + step - 1) / step;
  Shares shares(tasks, static_cast<std::size_t>(compute.pool->threads()));
  compute.pool->parallel_for(tasks, [&](std::size_t, int thread) {
    std::size_t task = shares.take(static_cast<std::size_t>(thread));
    for (const Product& p : products) {
      const std::size_t own = (p.w.out + step - 1) / step;
      if (task < own) return run(p, task * step, std::min(p.w.out, (task + 1) * step));
      task -= own;
    }
  });
}

}  // namespace kakeya::kernels
