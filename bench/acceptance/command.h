// `bench acceptance` from settled options to exit code. Flags are the app's.
#pragma once
#include <cstdio>

#include "acceptance/options.h"

namespace kakeya::acceptance {

struct CommandIo {
  std::FILE* out = stdout;  // table or JSON
  std::FILE* err = stderr;  // progress, notes, errors
  bool terminal = false;    // err is one
  bool json = false;
};

constexpr int kExitUsage = 2, kExitInterrupted = 130;

// 0 every verdict non-inferior (or no margin, or a dry run), 1 some channel worse or the work failed, 3
// inconclusive, 2 wrong usage, 130 stopped.
int run_bench_acceptance(RunOptions options, const CommandIo& io, const StopSignal& stop);

}  // namespace kakeya::acceptance
