// The row kernels in plain C++: the oracle of every other variant, and the path of rare rows.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "lattice/row_internal.h"
#include "lattice/row_kernels.h"

namespace kakeya::lattice {
namespace {

float sum_of_squares(const float* x, std::size_t dim) {
  float sums[kNormSums] = {};
  for (std::size_t i = 0; i < dim; ++i) sums[i % kNormSums] += x[i] * x[i];
  for (std::size_t half = kNormSums / 2; half >= 1; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

void butterfly(float* x, std::size_t dim, std::size_t half) {
  for (std::size_t base = 0; base < dim; base += 2 * half) {
    for (std::size_t i = base; i < base + half; ++i) {
      const float a = x[i];
      const float b = x[i + half];
      x[i] = a + b;
      x[i + half] = a - b;
    }
  }
}

float norm(const float* x, std::size_t dim) {
  const float sum = sum_of_squares(x, dim);
  return std::isfinite(sum) ? std::max(std::sqrt(sum), kEpsilon) : std::numeric_limits<float>::infinity();
}

float rotate(const float* x, std::size_t dim, float length, float* y) {
  float u[kMaxDim];
  for (std::size_t i = 0; i < dim; ++i) u[i] = x[i] / length;
  for (std::size_t half = dim / 2; half >= kGroup; half /= 2) butterfly(u, dim, half);
  for (std::size_t half = 1; half < kGroup; half *= 2) butterfly(u, dim, half);
  const float scale = rotation_scale(dim);
  const std::size_t groups = dim / kGroup;
  float peak = kEpsilon;
  for (std::size_t i = 0; i < dim; ++i) {
    const float value = u[i] * scale;
    peak = std::max(peak, std::fabs(value));
    y[i % kGroup * groups + i / kGroup] = value;
  }
  return peak;
}

// A little-endian bit stream over a zeroed buffer.
void put_bits(std::uint8_t* bytes, std::size_t bit, std::uint32_t value) {
  for (std::size_t byte = bit / 8, shift = bit % 8; value != 0; ++byte, shift = 0) {
    bytes[byte] = static_cast<std::uint8_t>(bytes[byte] | (value << shift));
    value >>= 8 - shift;
  }
}

std::uint32_t get_bits(const std::uint8_t* bytes, std::size_t bit, std::size_t count) {
  std::uint32_t value = 0;
  const std::size_t first = bit / 8;
  const std::size_t last = (bit + count - 1) / 8;
  for (std::size_t byte = first; byte <= last; ++byte)
    value |= std::uint32_t{bytes[byte]} << (8 * (byte - first));
  return value >> (bit % 8);
}

bool quantize(const RowFormat& format, const float* y, float step, std::uint8_t* codes) {
  std::int16_t doubled[kMaxDim];
  row_points(format, y, step, doubled);
  return pack_points(format, doubled, codes);
}

// Digits back to the 8 clamped coordinates of a group. Fields may hold any bits.
void unpack_group(const RowFormat& format, const std::uint32_t* fields, float* out) {
  const std::uint32_t radix = format.radix;
  std::uint32_t digit[8];
  for (int j = 0; j < 4; ++j) {
    digit[2 * j] = fields[j] % radix;
    digit[2 * j + 1] = fields[j] / radix;
  }
  float offset = -static_cast<float>(format.q + 1);
  if (format.kind == Kind::kE8) {
    const std::uint32_t coset = digit[7] & 1;
    std::uint32_t parity = 0;
    for (std::uint32_t d : digit) parity ^= d & 1;
    digit[7] ^= parity;
    if (coset != 0) offset += 0.5f;
  } else {
    for (int last : {3, 7}) {
      const std::uint32_t parity = (digit[last - 3] ^ digit[last - 2] ^ digit[last - 1]) & 1;
      digit[last] = 2 * digit[last] | parity;
    }
  }
  const auto limit = static_cast<float>(format.q);
  for (int i = 0; i < 8; ++i) out[i] = std::clamp(static_cast<float>(digit[i]) + offset, -limit, limit);
}

void unpack(const RowFormat& format, const std::uint8_t* codes, std::size_t stride, const std::uint8_t*,
            std::span<const std::uint32_t> negate, Rows<float> tile) {
  for (std::size_t r = 0; r < negate.size(); ++r, codes += stride) {
    float* out = tile.row(r).data();
    for (std::size_t g = 0; g < format.groups; ++g) {
      std::uint32_t fields[4];
      for (std::size_t j = 0; j < 4; ++j) {
        const std::size_t bit =
            g * static_cast<std::size_t>(format.group_bits) + static_cast<std::size_t>(format.shift[j]);
        fields[j] =
            get_bits(codes, bit, static_cast<std::size_t>(std::bit_width(format.mask[j]))) & format.mask[j];
      }
      unpack_group(format, fields, out + g * kGroup);
    }
    for (std::size_t i = 0; i < format.dim; ++i) {
      out[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(out[i]) ^ negate[r]);
    }
  }
}

void scale(float factor, float* x, std::size_t dim) {
  for (std::size_t i = 0; i < dim; ++i) x[i] *= factor;
}

}  // namespace

void row_points(const RowFormat& format, const float* y, float step, std::int16_t* doubled) {
  const std::size_t block = block_size(format.kind);
  for (std::size_t base = 0; base < format.dim; base += block) {
    float t[8];
    float p[8];
    for (std::size_t i = 0; i < block; ++i) {
      const std::size_t e = base + i;
      t[i] = y[e % kGroup * format.groups + e / kGroup] / step;
    }
    nearest(format.kind, t, p);
    for (std::size_t i = 0; i < block; ++i) doubled[base + i] = static_cast<std::int16_t>(2.0f * p[i]);
  }
}

bool pack_points(const RowFormat& format, const std::int16_t* doubled, std::uint8_t* codes) {
  std::memset(codes, 0, format.code_bytes);
  const int bias = format.q + 1;
  for (std::size_t g = 0; g < format.groups; ++g, doubled += kGroup) {
    std::uint32_t digit[8];
    for (int i = 0; i < 8; ++i) {
      const int d = (doubled[i] >> 1) + bias;  // rounds down: p - 1/2 in the half coset
      if (d < 0 || d >= static_cast<int>(format.radix)) return false;
      digit[i] = static_cast<std::uint32_t>(d);
    }
    if (format.kind == Kind::kE8) {
      digit[7] = (digit[7] & ~1u) | (static_cast<std::uint32_t>(doubled[0]) & 1u);
    } else {
      digit[3] >>= 1;
      digit[7] >>= 1;
    }
    for (std::size_t j = 0; j < 4; ++j) {
      const std::size_t bit =
          g * static_cast<std::size_t>(format.group_bits) + static_cast<std::size_t>(format.shift[j]);
      put_bits(codes, bit, digit[2 * j] + format.radix * digit[2 * j + 1]);
    }
  }
  return true;
}

void clamp_points(const RowFormat& format, std::span<const std::int16_t> doubled, float* out) {
  const int limit = 2 * format.q;
  for (std::size_t i = 0; i < doubled.size(); ++i) {
    out[i] = 0.5f * static_cast<float>(std::clamp(int{doubled[i]}, -limit, limit));
  }
}

const RowKernels& scalar_row_kernels() {
  static constexpr RowKernels kTable = {.name = "scalar",
                                        .norm = norm,
                                        .rotate = rotate,
                                        .quantize = quantize,
                                        .unpack = unpack,
                                        .scale = scale};
  return kTable;
}

}  // namespace kakeya::lattice
