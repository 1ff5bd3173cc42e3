// Which peak belongs to which variant, and reading memory.
#include "kernels/peaks.h"

#include "base/check.h"
#include "kernels/kernels.h"
#include "kernels/peaks_ops.h"

namespace kakeya::kernels {
namespace {

constexpr std::size_t kStreams = 4;
// What every CPU of 64 bits has a register for; wider loads do not read memory faster.
using Vector = std::uint64_t __attribute__((vector_size(16), aligned(16), may_alias));
constexpr std::size_t kLineVectors = 4;

struct Entry {
  const char* variant;
  Int8Peak peak;
};
constexpr Entry kEntries[] = {
#if defined(__x86_64__)
    {"avx2", {"vpmaddubsw", kMaddubsOps, maddubs_rounds}},
    {"avx2_vnni", {"vpdpbusd", kAvxVnniOps, avx_vnni_rounds}},
    // Its panels are multiplied with AVX2.
    {"avx512", {"vpmaddubsw", kMaddubsOps, maddubs_rounds}},
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

void read_bytes(std::span<const std::byte> bytes, std::size_t ahead) {
  KAKEYA_CHECK(bytes.size() % (kStreams * kLineVectors * sizeof(Vector)) == 0);
  const auto* data = reinterpret_cast<const Vector*>(bytes.data());
  const std::size_t part = bytes.size() / kStreams / sizeof(Vector);
  const Vector *a = data, *b = data + part, *c = data + 2 * part, *d = data + 3 * part;
  Vector sums[kStreams] = {};
  for (std::size_t i = 0; i < part; i += kLineVectors) {
    if (ahead != 0) {
      for (const Vector* stream : {a, b, c, d}) {
        __builtin_prefetch(reinterpret_cast<const std::byte*>(stream + i) + ahead);
      }
    }
    KAKEYA_UNROLL_ALL
    for (std::size_t v = i; v < i + kLineVectors; ++v) {
      sums[0] ^= a[v];
      sums[1] ^= b[v];
      sums[2] ^= c[v];
      sums[3] ^= d[v];
    }
  }
  asm volatile("" : : "r"(sums) : "memory");  // somebody reads the sums
}

const Int8Peak* int8_peak(std::string_view name) {
  if (find(name) == nullptr) return nullptr;
  for (const Entry& entry : kEntries) {
    if (entry.variant != nullptr && name == entry.variant) return &entry.peak;
  }
  return nullptr;
}

}  // namespace kakeya::kernels
