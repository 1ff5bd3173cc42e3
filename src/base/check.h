// KAKEYA_CHECK: our own invariant, always on. Never for data that comes from outside.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace kakeya::base {
[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "internal error: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}
}  // namespace kakeya::base

#define KAKEYA_CHECK(condition) \
  ((condition) ? (void)0 : ::kakeya::base::check_failed(#condition, __FILE__, __LINE__))
