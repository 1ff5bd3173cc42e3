// Variants of the row kernels by name.
#include "lattice/row_kernels.h"

#include "lattice/row_internal.h"

namespace kakeya::lattice {

const RowKernels* find_row_kernels(std::string_view name) {
  if (name == scalar_row_kernels().name) return &scalar_row_kernels();
  return find_simd_row_kernels(name);
}

}  // namespace kakeya::lattice
