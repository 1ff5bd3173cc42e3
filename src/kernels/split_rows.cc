#include "kernels/split_rows.h"

#include "base/check.h"

namespace kakeya::kernels {
namespace {

// Fewer inputs than this stay floats, whatever the CPU. Published models that run here have as many; the
// embedded pair has not: its numbers are what other work is compared with, digit by digit, and must not
// change with AMX.
constexpr std::size_t kFewestInputs = 1024;

}  // namespace

bool takes_split_rows(const Table& ops, const Weight& w) {
  return ops.split_matmul_range != nullptr && w.type == WeightType::kBf16 && w.in >= kFewestInputs &&
         w.in % SplitRows::kStep == 0;
}

std::size_t split_rows_bytes(std::size_t rows, std::size_t cols) {
  const SplitRows shape = {rows, cols};
  return shape.groups() * shape.width() * cols * SplitRows::kParts * sizeof(std::uint16_t);
}

SplitRows split_rows_in(std::span<std::byte> buffer, std::size_t rows, std::size_t cols) {
  KAKEYA_CHECK(cols % SplitRows::kStep == 0 && buffer.size() >= split_rows_bytes(rows, cols));
  return {rows, cols, reinterpret_cast<std::uint16_t*>(buffer.data())};
}

}  // namespace kakeya::kernels
