// The table of CPU variants and the names of weight types. The maths is in scalar.cc and simd.cc.
#include "kernels/kernels.h"

#include "base/check.h"
#include "kernels/variants.h"

namespace kakeya::kernels {
namespace {

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

}  // namespace kakeya::kernels
