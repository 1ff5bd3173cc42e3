// Instructions of a call, counted by running it step by step in a traced child process. Exact and the same on
// a busy machine, where times are not; hardware counters and valgrind are not to be had everywhere or do not
// know AVX-512 and AMX. Linux on x86-64 only.
//
// Counted are instructions of this program's own code. What runs inside shared libraries (memcpy, expf, fma)
// is left out: the C library chooses those by CPU.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace kakeya::gate {

using Call = std::function<void()>;

struct Job {
  std::string name;
  std::function<Call()> prepare;  // runs in the child; the call is made once uncounted, once counted
};

// One count per job. Errors: kUnsupported when this system cannot or may not trace; kNumeric when the counter
// fails its own check, or a job ends or never ends.
Result<std::vector<std::uint64_t>> count_instructions(std::span<const Job> jobs);

}  // namespace kakeya::gate
