// What the row kernels of every variant share; not for other folders.
#pragma once
#include <cstddef>

#include "lattice/row_kernels.h"

namespace kakeya::lattice {

// 1 / sqrt(dim), the entry of the orthonormal Hadamard matrix.
float rotation_scale(std::size_t dim);

// The SIMD variant of that name or null.
const RowKernels* find_simd_row_kernels(std::string_view name);

}  // namespace kakeya::lattice
