// Regions compiled for an instruction set that the rest of the file, and of the program, must not use. All
// includes of other headers stand before the region, so that no function shared with other files is built
// for it.
#pragma once

// Loops over register arrays must be unrolled whole, or the arrays live in memory.
#if defined(__clang__)
#define KAKEYA_UNROLL _Pragma("unroll")
#else
#define KAKEYA_UNROLL _Pragma("GCC unroll 16")
#endif
#define KAKEYA_INLINE inline __attribute__((always_inline))
#define KAKEYA_INLINE_LAMBDA __attribute__((always_inline))

#define KAKEYA_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define KAKEYA_BEGIN_TARGET(flags) \
  KAKEYA_PRAGMA(clang attribute push(__attribute__((target(flags))), apply_to = function))
#define KAKEYA_END_TARGET _Pragma("clang attribute pop")
#else
#define KAKEYA_BEGIN_TARGET(flags) _Pragma("GCC push_options") KAKEYA_PRAGMA(GCC target(flags))
#define KAKEYA_END_TARGET _Pragma("GCC pop_options")
#endif
