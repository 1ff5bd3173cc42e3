// The most a thread gets out of its core: reading memory and multiplying int8. For benchmarks that say what
// share of it a kernel reaches; results of models never pass through here.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kakeya::kernels {

// Reads every cache line once, as four streams, and asks for each `ahead` bytes before its turn (0: leaves
// that to the core). Whole KiB, the start on a multiple of 16.
void read_bytes(std::span<const std::byte> bytes, std::size_t ahead);

// Independent instructions back to back, operands in registers.
struct Int8Peak {
  const char* instruction;
  std::uint64_t ops_per_round;  // multiplications and additions
  void (*run)(std::uint64_t rounds);
};
// Of the instruction that the CPU variant `name` multiplies panels with; null when that is plain C++ or the
// variant is not usable here.
const Int8Peak* int8_peak(std::string_view name);

}  // namespace kakeya::kernels
