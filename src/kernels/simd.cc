// Highway variants of the kernels.
#include "kernels/variants.h"

namespace kakeya::kernels {

void append_simd_tables(std::vector<const Table*>&) {}

}  // namespace kakeya::kernels
