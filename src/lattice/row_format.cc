// Sizes of packed rows.
#include "lattice/row_format.h"

#include <fmt/format.h>

#include <bit>

namespace kakeya::lattice {

namespace {

RowFormat::Plan plan_of(const RowFormat& format) {
  RowFormat::Plan plan;
  for (std::size_t g = 0; g < 4; ++g) {
    const std::size_t first = g * static_cast<std::size_t>(format.group_bits);
    plan.offset[g] = first / 8;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::size_t bit = first % 8 + static_cast<std::size_t>(format.shift[j]);
      const auto byte = static_cast<std::uint32_t>(bit / 8);
      plan.bytes[4 * g + j] = 0x03020100u + 0x01010101u * byte;
      plan.shift[4 * g + j] = bit % 8;
    }
  }
  return plan;
}

}  // namespace

Result<RowFormat> RowFormat::create(Kind kind, int q, std::size_t dim) {
  if (q < kMinRange || q > kMaxRange) {
    return unsupported(
        fmt::format("{} codec: range is {}, expected {} to {}", to_string(kind), q, kMinRange, kMaxRange));
  }
  if (!std::has_single_bit(dim) || dim < 64 || dim > kMaxDim) {
    return unsupported(
        fmt::format("{}-q{} codec: head_dim is {}, expected 64, 128, 256 or 512 (the Hadamard "
                    "rotation needs a power of two)",
                    to_string(kind), q, dim));
  }
  RowFormat format;
  format.kind = kind;
  format.q = q;
  format.dim = dim;
  format.groups = dim / kGroup;
  format.radix = 2 * static_cast<std::uint32_t>(q) + 2;
  const int w = std::bit_width(format.radix * format.radix - 1);
  format.field_bits = w;
  // The last digit of a D4 block lost its parity bit: radix / 2, so its field is one bit narrower.
  const int odd = kind == Kind::kD4 ? w - 1 : w;
  format.group_bits = 2 * (w + odd);
  format.shift = {0, w, w + odd, 2 * w + odd};
  const auto full = (std::uint32_t{1} << w) - 1;
  const auto last = (std::uint32_t{1} << odd) - 1;
  format.mask = {full, last, full, last};
  format.code_bytes = format.groups * static_cast<std::size_t>(format.group_bits) / 8;
  format.plan = plan_of(format);
  return format;
}

}  // namespace kakeya::lattice
