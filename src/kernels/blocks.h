// ggml's quantised blocks as they lie in GGUF files: layouts, dequantisation bit for bit as ggml's, and the
// quantisers of `kakeya-llm quantize`. Plain C++ and not for the inner loops: those work on panels
// (panels.h). Layouts and formulas: docs/formats/gguf-blocks.md.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kakeya::kernels {

struct BlockQ8_0 {  // value i = d * qs[i]
  std::uint16_t d;  // f16
  std::int8_t qs[32];
};
struct BlockQ4_0 {  // values i and i + 16 = d * (nibble - 8), low and high nibble of qs[i]
  std::uint16_t d;
  std::uint8_t qs[16];
};
struct BlockQ4K {           // 8 sub-blocks of 32: d * sc * nibble - dmin * m
  std::uint16_t d, dmin;    // f16
  std::uint8_t scales[12];  // 8 x 6-bit sc and 8 x 6-bit m
  std::uint8_t qs[128];
};
struct BlockQ5K {  // as Q4_K with a fifth bit in qh
  std::uint16_t d, dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32];
  std::uint8_t qs[128];
};
struct BlockQ6K {  // 16 sub-blocks of 16: d * scales[s] * (six bits - 32)
  std::uint8_t ql[128];
  std::uint8_t qh[64];
  std::int8_t scales[16];
  std::uint16_t d;
};
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4K) == 144 &&
              sizeof(BlockQ5K) == 176 && sizeof(BlockQ6K) == 210);

// Values and bytes of one block; 1 and bytes_per_weight for plain types. Not for the affine types.
std::size_t block_values(WeightType type);
std::size_t block_bytes(WeightType type);
// Bytes of a row of n values; n is a multiple of block_values(type).
std::size_t row_bytes(WeightType type, std::size_t n);

// out[0, n) from a row of blocks; the float arithmetic is ggml's, operation for operation.
void dequantise_row(WeightType type, const void* blocks, std::size_t n, float* out);
// A row of blocks from x[0, n), all finite. kQ8_0, kQ4_0, kQ4K, kQ5K and kQ6K.
void quantise_row(WeightType type, const float* x, std::size_t n, void* blocks);

}  // namespace kakeya::kernels
