// Which instructions for products of small numbers this CPU and its system allow.
#pragma once

namespace kakeya::kernels {

// AVX2 with FMA, and the dot products of 256-bit vectors without AVX-512.
bool has_avx2();
bool has_avx_vnni();
bool has_avx512_vnni();
// AVX-512 VNNI, GFNI and AMX int8; asks the system for the tile registers, once.
bool has_amx_int8();
// The above, AMX bf16 and AVX-512 BF16.
bool has_amx_bf16();
// The dot product instructions of 64-bit Arm, and its int8 matrix products.
bool has_neon_dotprod();
bool has_neon_i8mm();

}  // namespace kakeya::kernels
