// What the row kernels of every variant share; not for other folders.
#pragma once
#include <cstddef>

#include "lattice/row_kernels.h"

namespace kakeya::lattice {

// Running sums of the norm: value i goes to sum i % 32, then the sums are folded in halves. Every vector
// width up to 16 can follow this order.
inline constexpr std::size_t kNormSums = 32;

// 1 / sqrt(dim) as fp32, the entry of the orthonormal Hadamard matrix.
inline float rotation_scale(std::size_t dim) {
  switch (dim) {
    case 64:
      return 0.125f;
    case 128:
      return 0x1.6a09e6p-4f;
    case 256:
      return 0.0625f;
    default:
      return 0x1.6a09e6p-5f;  // 512
  }
}

// The SIMD variant of that name or null.
const RowKernels* find_simd_row_kernels(std::string_view name);

}  // namespace kakeya::lattice
