// Packed rows to int8 in plain C++, through the floats of the row kernels: the oracle of the fast variants.
#include "lattice/row_codes.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/half.h"
#include "lattice/row_kernels.h"

namespace kakeya::lattice {
namespace {

template <class Index>
void unpack_rows(const CodePlan& plan, const PackedRows& rows, Index index, std::int8_t* out) {
  const std::size_t dim = plan.format.dim;
  float row[kMaxDim];
  for (std::size_t r = 0; r < rows.rows; ++r) {
    const std::uint32_t negate = 0;
    scalar_row_kernels().unpack(plan.format, rows.codes + r * rows.stride, rows.stride, rows.end,
                                {&negate, 1}, {row, 1, dim});
    for (std::size_t i = 0; i < dim; ++i) out[index(dim, r, i)] = static_cast<std::int8_t>(2.0f * row[i]);
  }
}

void rows_in_order(const CodePlan& plan, const PackedRows& rows, std::int8_t* out) {
  unpack_rows(
      plan, rows, [](std::size_t dim, std::size_t row, std::size_t i) { return row * dim + i; }, out);
}
void keys(const CodePlan& plan, const PackedRows& rows, std::int8_t* out) {
  unpack_rows(plan, rows, key_index, out);
}
void values(const CodePlan& plan, const PackedRows& rows, std::int8_t* out) {
  unpack_rows(plan, rows, value_index, out);
}

void scales(const std::uint32_t* headers, std::size_t n, int q, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const float norm = base::f16_to_f32(headers[i] & 0x7fff);
    const float peak = base::f16_to_f32(headers[i] >> 16 & 0x7fff);
    const float scale = norm * peak / static_cast<float>(q) * 0.5f;
    out[i] = headers[i] >> 31 != 0 ? -scale : scale;
  }
}

}  // namespace

void swap_lanes(float* row, std::size_t dim) {
  for (std::size_t first = 0; first < dim; first += 64) {
    for (std::size_t a = 0; a < 4; ++a) {
      for (std::size_t b = a + 1; b < 4; ++b) {
        float* above = row + first + 16 * a + 4 * b;
        std::swap_ranges(above, above + 4, row + first + 16 * b + 4 * a);
      }
    }
  }
}

CodePlan::CodePlan(const RowFormat& row_format) : format(row_format) {
  KAKEYA_CHECK(format.q <= kMaxCodeRange);
  const auto group_bits = static_cast<std::size_t>(format.group_bits);
  for (std::size_t odd = 0; odd < 2; ++odd) {
    for (std::size_t group = 0; group < 2; ++group) {
      const std::size_t first = odd * 2 * group_bits % 8 + group * group_bits;
      for (std::size_t i = 0; i < 8; ++i) {
        order[odd][8 * group + i] = static_cast<std::uint8_t>(first / 8 + i);
        const std::size_t bit = first % 8 + static_cast<std::size_t>(format.shift[i / 2]) + i % 2 * 8;
        select[odd][8 * group + i] = static_cast<std::uint8_t>((bit - 1) % 64);
      }
      for (std::size_t field = 0; field < 4; ++field) {
        plan_words(first + static_cast<std::size_t>(format.shift[field]), odd, 4 * group + field);
      }
    }
  }
  for (std::size_t group = 0; group < 8; ++group) {
    const std::size_t first = group * group_bits;
    for (std::size_t i = 0; i < 8; ++i) {
      row_order[8 * group + i] = static_cast<std::uint8_t>(first / 8 + i);
      const std::size_t bit = first % 8 + static_cast<std::size_t>(format.shift[i / 2]) + i % 2 * 8;
      row_select[8 * group + i] = static_cast<std::uint8_t>((bit - 1) % 64);
    }
  }
  // Rounded up, so the quotient is exact while field * (excess of the inverse) < 2^(16 + shift): the excess
  // is below the radix, a field below 2 radix^2, and 2^shift at least half the radix. A test tries all
  // fields.
  shift = std::bit_width(format.radix - 1) - 1;
  inverse = static_cast<std::uint16_t>(((std::uint32_t{0x10000} << shift) + format.radix - 1) / format.radix);
  small = format.q <= kSmallCodeRange;
  if (!small) return;
  // By the same rule: a doubled field below 2 radix^2 leaves an even remainder, at most 2 radix - 2, and the
  // excess is below 2 radix.
  direct = static_cast<std::uint16_t>((0x10000u + 2 * format.radix - 1) / (2 * format.radix));
  for (int i = 0; i < 64; ++i) {
    clamped[static_cast<std::size_t>(i)] =
        static_cast<std::int8_t>(std::clamp(i, 2, 4 * format.q + 2) - (2 * format.q + 2));
  }
}

void CodePlan::plan_words(std::size_t bit, std::size_t odd, std::size_t word) {
  constexpr std::uint8_t kNone = 0x80;
  const std::size_t byte = (bit + 7) / 8;  // the second of the low word; the byte before a pair is never used
  below[odd][word] = static_cast<std::uint16_t>(bit + 8 - 8 * byte);
  low[odd][2 * word] = byte == 0 ? kNone : static_cast<std::uint8_t>(byte - 1);
  low[odd][2 * word + 1] = static_cast<std::uint8_t>(byte);
  high[odd][2 * word] = static_cast<std::uint8_t>(byte + 1);
  high[odd][2 * word + 1] = kNone;
}

const RowCodes& scalar_row_codes() {
  static constexpr RowCodes kTable = {.name = "scalar",
                                      .swaps_lanes = false,
                                      .rows = rows_in_order,
                                      .keys = keys,
                                      .values = values,
                                      .scales = scales};
  return kTable;
}

const RowCodes* find_row_codes(std::string_view name) {
  if (name == scalar_row_codes().name) return &scalar_row_codes();
  if (name == "avx512_vnni" || name == "amx") {
    const RowCodes* found = vbmi_row_codes();
    return found != nullptr ? found : simd_row_codes();
  }
  if (name == "avx2" || name == "avx2_vnni" || name == "avx512" || name == "neon_dotprod" ||
      name == "neon_i8mm") {
    return simd_row_codes();
  }
  return nullptr;
}

}  // namespace kakeya::lattice
