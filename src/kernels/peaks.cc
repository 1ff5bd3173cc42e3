// Which peak belongs to which variant, and reading memory.
#include "kernels/peaks.h"

#include "base/check.h"
#include "kernels/kernels.h"
#include "kernels/peaks_ops.h"

namespace kakeya::kernels {
namespace {

constexpr std::size_t kStreams = 4;
constexpr std::size_t kLineWords = 8;

struct Entry {
  const char* variant;
  Int8Peak peak;
};
constexpr Entry kEntries[] = {
#if defined(__x86_64__)
    {"avx2", {"vpmaddubsw", kMaddubsOps, maddubs_rounds}},
    {"avx512", {"vpmaddubsw", kMaddubsOps, maddubs_rounds}},  // its panels are multiplied with AVX2
    {"avx512_vnni", {"vpdpbusd", kVnniOps, vnni_rounds}},
    {"amx", {"tdpbusd", kAmxOps, amx_rounds}},
#elif defined(__aarch64__)
    {"neon", {"smull", kSmullOps, smull_rounds}},
#if defined(KAKEYA_ARM_TARGETS)
    {"neon_dotprod", {"sdot", kSdotOps, sdot_rounds}},
    {"neon_i8mm", {"smmla", kSmmlaOps, smmla_rounds}},
#endif
#endif
    {nullptr, {"", 0, nullptr}},
};

}  // namespace

void read_bytes(std::span<const std::byte> bytes) {
  constexpr std::size_t kStep = kLineWords * sizeof(std::uint64_t);
  KAKEYA_CHECK(bytes.size() % (kStreams * kStep) == 0);
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  const std::size_t part = bytes.size() / kStreams / sizeof(std::uint64_t);
  std::uint64_t sums[kStreams][kLineWords] = {};
  for (std::size_t i = 0; i < part; i += kLineWords) {
    for (std::size_t s = 0; s < kStreams; ++s) {
      for (std::size_t w = 0; w < kLineWords; ++w) sums[s][w] ^= words[s * part + i + w];
    }
  }
  asm volatile("" : : "r"(&sums[0][0]) : "memory");  // somebody reads the sums
}

const Int8Peak* int8_peak(std::string_view name) {
  if (find(name) == nullptr) return nullptr;
  for (const Entry& entry : kEntries) {
    if (entry.variant != nullptr && name == entry.variant) return &entry.peak;
  }
  return nullptr;
}

}  // namespace kakeya::kernels
