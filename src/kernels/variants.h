// The variants this build contains, for kernels.cc alone.
#pragma once
#include <vector>

#include "kernels/kernels.h"

namespace kakeya::kernels {

const Table& scalar_table();
// Appends the SIMD variants that the CPU can run, weakest first.
void append_simd_tables(std::vector<const Table*>& out);

}  // namespace kakeya::kernels
