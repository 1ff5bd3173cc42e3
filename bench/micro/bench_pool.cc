// A fork and join of the thread pool: over nothing, and over work of some microseconds, against that work
// alone. The difference to the work divided by the threads is what a fork costs; a step of an 8B has 180.
#include <benchmark/benchmark.h>

#include <atomic>

#include "base/thread_pool.h"

namespace {

using kakeya::base::ThreadPool;

// About a nanosecond an iteration, and nothing that the compiler could take out.
void work(std::size_t iterations) {
  std::size_t x = iterations;
  for (std::size_t i = 0; i < iterations; ++i) benchmark::DoNotOptimize(x = x * 3 + i);
}

void fork_join(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const auto each = static_cast<std::size_t>(state.range(1)) / static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    pool.parallel_for(static_cast<std::size_t>(state.range(0)), [&](std::size_t, int) { work(each); });
  }
}

void work_alone(benchmark::State& state) {
  for (auto _ : state) work(static_cast<std::size_t>(state.range(0)));
}

}  // namespace

BENCHMARK(fork_join)
    ->ArgNames({"threads", "work"})
    ->ArgsProduct({{1, 2, 4}, {0, 4000, 40000}})
    ->UseRealTime();
BENCHMARK(work_alone)->ArgName("work")->Arg(4000)->Arg(40000)->UseRealTime();
BENCHMARK_MAIN();
