// ggml's blocks to floats, one block at a time. The order of the float operations is part of the format: a
// product of two scales is rounded before it meets the code, as in ggml.
#include "kernels/blocks.h"

#include <cstring>

#include "base/check.h"
#include "base/half.h"
#include "kernels/block_scales.h"

namespace kakeya::kernels {
namespace {

using base::f16_to_f32;

// Blocks in a file need not be aligned.
template <class Block>
Block load_block(const void* blocks, std::size_t index) {
  Block block;
  std::memcpy(&block, static_cast<const std::byte*>(blocks) + index * sizeof(Block), sizeof(Block));
  return block;
}

void unpack(const BlockQ8_0& block, float* out) {
  const float d = f16_to_f32(block.d);
  for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<float>(block.qs[i]) * d;
}

void unpack(const BlockQ4_0& block, float* out) {
  const float d = f16_to_f32(block.d);
  for (std::size_t i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((block.qs[i] & 15) - 8) * d;
    out[i + 16] = static_cast<float>((block.qs[i] >> 4) - 8) * d;
  }
}

// Q4_K and Q5_K: `high` gives the fifth bit of value i of sub-block s, as 0 or 16.
template <class Block, class High>
void unpack_k(const Block& block, High high, float* out) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (std::size_t s = 0; s < 8; ++s) {
    const SubScale sub = sub_scale(block.scales, s);
    const float scale = d * static_cast<float>(sub.scale);
    const float min = dmin * static_cast<float>(sub.min);
    const std::uint8_t* q = block.qs + s / 2 * 32;
    const unsigned shift = s % 2 * 4;
    for (std::size_t i = 0; i < 32; ++i) {
      out[s * 32 + i] = scale * static_cast<float>((q[i] >> shift & 15) + high(s, i)) - min;
    }
  }
}

void unpack(const BlockQ4K& block, float* out) {
  unpack_k(
      block, [](std::size_t, std::size_t) { return 0; }, out);
}

void unpack(const BlockQ5K& block, float* out) {
  unpack_k(
      block, [&](std::size_t s, std::size_t i) { return (block.qh[i] >> s & 1) << 4; }, out);
}

void unpack(const BlockQ6K& block, float* out) {
  const float d = f16_to_f32(block.d);
  for (std::size_t half = 0; half < 2; ++half) {
    const std::uint8_t* ql = block.ql + half * 64;
    const std::uint8_t* qh = block.qh + half * 32;
    for (std::size_t i = 0; i < 128; ++i) {
      // 128 values share 64 bytes of low nibbles and 32 bytes of bit pairs.
      const int low = ql[i % 64] >> (i / 64 * 4) & 15;
      const int high = qh[i % 32] >> (i / 32 * 2) & 3;
      const float scale = d * static_cast<float>(block.scales[half * 8 + i / 16]);
      out[half * 128 + i] = scale * static_cast<float>((low | high << 4) - 32);
    }
  }
}

template <class Block>
void unpack_row(WeightType type, const void* blocks, std::size_t n, float* out) {
  const std::size_t step = block_values(type);
  for (std::size_t b = 0; b < n / step; ++b) unpack(load_block<Block>(blocks, b), out + b * step);
}

template <class Convert>
void widen_row(const void* values, std::size_t n, Convert convert, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, static_cast<const std::byte*>(values) + 2 * i, 2);
    out[i] = convert(bits);
  }
}

}  // namespace

std::size_t block_values(WeightType type) {
  KAKEYA_CHECK(type != WeightType::kAffine4 && type != WeightType::kAffine8);
  if (!is_quantised(type)) return 1;
  return type == WeightType::kQ8_0 || type == WeightType::kQ4_0 ? 32 : 256;
}

std::size_t block_bytes(WeightType type) {
  switch (type) {
    case WeightType::kQ8_0:
      return sizeof(BlockQ8_0);
    case WeightType::kQ4_0:
      return sizeof(BlockQ4_0);
    case WeightType::kQ4K:
      return sizeof(BlockQ4K);
    case WeightType::kQ5K:
      return sizeof(BlockQ5K);
    case WeightType::kQ6K:
      return sizeof(BlockQ6K);
    default:
      return bytes_per_weight(type);  // checks that the type is plain
  }
}

std::size_t row_bytes(WeightType type, std::size_t n) {
  KAKEYA_CHECK(n % block_values(type) == 0);
  return n / block_values(type) * block_bytes(type);
}

void dequantise_row(WeightType type, const void* blocks, std::size_t n, float* out) {
  KAKEYA_CHECK(n % block_values(type) == 0);
  switch (type) {
    case WeightType::kF32:
      std::memcpy(out, blocks, n * sizeof(float));
      return;
    case WeightType::kF16:
      return widen_row(blocks, n, base::f16_to_f32, out);
    case WeightType::kBf16:
      return widen_row(blocks, n, base::bf16_to_f32, out);
    case WeightType::kQ8_0:
      return unpack_row<BlockQ8_0>(type, blocks, n, out);
    case WeightType::kQ4_0:
      return unpack_row<BlockQ4_0>(type, blocks, n, out);
    case WeightType::kQ4K:
      return unpack_row<BlockQ4K>(type, blocks, n, out);
    case WeightType::kQ5K:
      return unpack_row<BlockQ5K>(type, blocks, n, out);
    case WeightType::kQ6K:
      return unpack_row<BlockQ6K>(type, blocks, n, out);
    case WeightType::kAffine4:
    case WeightType::kAffine8:
      KAKEYA_CHECK(is_quantised(type) && false);
  }
}

}  // namespace kakeya::kernels
