// CPUID, the system call that AMX needs, and what Arm systems say.
#include "kernels/panel_cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

#include <cstddef>
#endif

namespace kakeya::kernels {
namespace {

#if defined(__x86_64__)
struct Leaf7 {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};
Leaf7 leaf7(unsigned part = 0) {
  Leaf7 out;
  if (__get_cpuid_count(7, part, &out.eax, &out.ebx, &out.ecx, &out.edx) == 0) return {};
  return out;
}
constexpr unsigned kAvxVnni = 1u << 4, kAvx512Bf16 = 1u << 5;                      // eax of part 1
constexpr unsigned kGfni = 1u << 8, kVnni = 1u << 11;                              // ecx
constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kAmxInt8 = 1u << 25;  // edx

bool allow_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace

bool has_avx2() {
#if defined(__x86_64__)
  static const bool found = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return found;
#else
  return false;
#endif
}

bool has_avx_vnni() {
#if defined(__x86_64__)
  return has_avx2() && leaf7().eax >= 1 && (leaf7(1).eax & kAvxVnni) != 0;
#else
  return false;
#endif
}

bool has_avx512_vnni() {
#if defined(__x86_64__)
  return (leaf7().ecx & kVnni) != 0;
#else
  return false;
#endif
}

bool has_amx_int8() {
#if defined(__x86_64__)
  static const bool allowed = [] {
    const Leaf7 cpu = leaf7();
    return (cpu.ecx & kGfni) != 0 && (cpu.ecx & kVnni) != 0 && (cpu.edx & kAmxTile) != 0 &&
           (cpu.edx & kAmxInt8) != 0 && allow_tiles();
  }();
  return allowed;
#else
  return false;
#endif
}

bool has_amx_bf16() {
#if defined(__x86_64__)
  static const bool found = has_amx_int8() && (leaf7().edx & kAmxBf16) != 0 && leaf7().eax >= 1 &&
                            (leaf7(1).eax & kAvx512Bf16) != 0;
  return found;
#else
  return false;
#endif
}

bool has_neon_dotprod() {
#if defined(__aarch64__) && defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
  return true;  // every Apple CPU of this kind
#else
  return false;
#endif
}

bool has_neon_i8mm() {
#if defined(__aarch64__) && defined(__linux__) && defined(HWCAP2_I8MM)
  return has_neon_dotprod() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
  int value = 0;
  std::size_t size = sizeof value;
  return sysctlbyname("hw.optional.arm.FEAT_I8MM", &value, &size, nullptr, 0) == 0 && value != 0;
#else
  return false;
#endif
}

}  // namespace kakeya::kernels
