// The table of CPU variants and the threaded matmul. The maths is in scalar.cc and simd.cc.
#include "kernels/kernels.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/variants.h"

namespace kakeya::kernels {
namespace {

// Below this many multiply-adds a fork costs more than it saves (a fork-join is about a microsecond).
constexpr std::size_t kMinTaskWork = std::size_t{1} << 15;
// Tasks per thread: enough that a delayed thread does not hold up the others.
constexpr std::size_t kTasksPerThread = 4;
// Columns per task are a multiple of this, so that full register blocks stay full.
constexpr std::size_t kColumnStep = 8;

const std::vector<const Table*>& variants() {
  static const std::vector<const Table*> list = [] {
    std::vector<const Table*> out = {&scalar_table()};
    append_simd_tables(out);
    return out;
  }();
  return list;
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
  std::size_t columns = 0;
  for (const Product& p : products) {
    KAKEYA_CHECK(x.cols == p.w.in && p.y.cols == p.w.out && x.rows == p.y.rows);
    columns += p.w.out;
  }
  if (x.rows == 0 || columns == 0) return;
  const auto threads = static_cast<std::size_t>(compute.pool->threads());
  const std::size_t work = x.rows * x.cols * columns;
  if (threads == 1 || work < 2 * kMinTaskWork) {
    for (const Product& p : products) compute.ops->matmul_range(p.w, x, p.y, 0, p.w.out);
    return;
  }
  const std::size_t wanted = std::min(threads * kTasksPerThread, work / kMinTaskWork);
  std::size_t step = (columns + wanted - 1) / wanted;
  step = (step + kColumnStep - 1) / kColumnStep * kColumnStep;
  std::size_t tasks = 0;
  for (const Product& p : products) tasks += (p.w.out + step - 1) / step;
  compute.pool->parallel_for(tasks, [&](std::size_t task, int) {
    for (const Product& p : products) {
      const std::size_t own = (p.w.out + step - 1) / step;
      if (task < own) {
        compute.ops->matmul_range(p.w, x, p.y, task * step, std::min(p.w.out, (task + 1) * step));
        return;
      }
      task -= own;
    }
  });
}

}  // namespace kakeya::kernels
