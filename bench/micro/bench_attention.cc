// Speed of attention over packed rows, exact and fast, per channel, number of query rows and positions, at
// the shape of one layer of an 8B model (8 KV heads, 32 query heads, head_dim 128). `kakeya-bench-attention
// --threads=2 --benchmark_filter=e8-q10/rows:16`. "step ms" is the time of 36 such layers, "cpu ms" their CPU
// time on all threads. --layers (6) take turns; with enough of them rows come from memory, as in a model, and
// 1024 positions of one from the second-level caches.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kv/cache.h"

namespace kakeya {
namespace {

constexpr std::size_t kHeads = 8, kGroup = 4, kDim = 128, kModelLayers = 36;

struct Case {
  std::string channel;
  bool fast;
  std::size_t rows, positions;
  std::size_t layers = 6;
};

std::unique_ptr<kv::Cache> filled_cache(const Case& c, const kernels::Compute& compute) {
  kv::CacheOptions options;
  options.channel = *kv::parse_channel(c.channel);
  options.max_tokens = c.positions;
  if (c.fast) options.fast_attention_from = 1;
  auto cache = kv::Cache::create({c.layers, kHeads, kDim}, options);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  constexpr std::size_t kRun = 1024, kWidth = kHeads * kDim;
  std::vector<float> x(kRun * kWidth);
  for (float& v : x) v = normal(random);
  for (std::size_t layer = 0; layer < c.layers; ++layer) {
    for (std::size_t first = 0; first < c.positions; first += kRun) {
      const std::size_t n = std::min(kRun, c.positions - first);
      if (!(*cache)->append(compute, layer, {x.data(), n, kWidth}, {x.data(), n, kWidth}).ok()) std::abort();
    }
  }
  return std::move(*cache);
}

void bench(benchmark::State& state, const Case& c, const kernels::Table& ops, int threads) {
  base::ThreadPool pool(threads);
  const kernels::Compute compute = {&ops, &pool};
  const auto cache = filled_cache(c, compute);
  const std::size_t width = kHeads * kGroup * kDim;
  std::vector<float> queries(c.rows * width), out(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) queries[i] = std::sin(static_cast<float>(i));
  std::vector<kv::Visible> visible;
  for (std::size_t r = 0; r < c.rows; ++r) visible.push_back({0, c.positions - c.rows + r + 1});
  std::size_t turn = 0;
  const std::clock_t before = std::clock();
  for (auto _ : state) {
    const Status status = cache->attend(compute, {turn++ % c.layers,
                                                  {queries.data(), c.rows, width},
                                                  visible,
                                                  1.0f / std::sqrt(static_cast<float>(kDim)),
                                                  {out.data(), c.rows, width}});
    if (!status.ok()) std::abort();
    benchmark::ClobberMemory();
  }
  const auto calls = static_cast<double>(state.iterations());
  state.counters["cpu ms"] = 1e3 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC / calls *
                             static_cast<double>(kModelLayers);
  state.counters["Mvectors/s"] = benchmark::Counter(
      1e-6 * calls * static_cast<double>(2 * kHeads * c.positions), benchmark::Counter::kIsRate);
  state.counters["step ms"] = benchmark::Counter(
      1e-3 * calls / static_cast<double>(kModelLayers),
      benchmark::Counter::Flags(benchmark::Counter::kIsRate | benchmark::Counter::kInvert));
}

void register_all(int threads, std::size_t layers) {
  for (const char* channel : {"e8-q4", "e8-q7", "e8-q10", "e8-q31", "e8-q38", "d4-q38", "bf16"}) {
    for (const std::size_t rows : {1, 16}) {
      for (const std::size_t positions : {1024, 4096, 16384}) {
        for (const kernels::Table* ops : kernels::available()) {
          for (const bool fast : {false, true}) {
            const Case c = {channel, fast, rows, positions, layers};
            const std::string name = c.channel + "/rows:" + std::to_string(rows) +
                                     "/positions:" + std::to_string(positions) + "/" + ops->name +
                                     (fast ? "/fast" : "/exact");
            benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
              bench(state, c, *ops, threads);
            })->UseRealTime();
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace kakeya

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  int threads = 1, layers = 6;
  for (int i = 1; i < argc; ++i) {
    if (std::sscanf(argv[i], "--threads=%d", &threads) == 1 && threads >= 1) continue;
    if (std::sscanf(argv[i], "--layers=%d", &layers) == 1 && layers >= 1) continue;
    std::fprintf(stderr, "%s: expected --threads=N, --layers=N or an option of google-benchmark\n", argv[i]);
    return 2;
  }
  kakeya::register_all(threads, static_cast<std::size_t>(layers));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
