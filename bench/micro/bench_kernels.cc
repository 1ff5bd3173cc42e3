// Speed of the kernels per CPU variant and of attention per KV channel, each checked against scalar before it
// is timed. One thread. `kakeya-bench-kernels --benchmark_filter=matmul/avx2`
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/half.h"
#include "kernels/kernels.h"
#include "kv/cache.h"

namespace kakeya {
namespace {

using kernels::Table;
using kernels::Weight;
using kernels::WeightType;

constexpr std::size_t kOut = 4096, kIn = 4096;  // 32 MiB of bf16: beyond the second-level cache
constexpr std::size_t kTokens = 4096, kHeadDim = 128, kGroup = 4, kKvHeads = 2;
constexpr double kTolerance = 1e-4;  // of the largest value: variants sum in different orders

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

void expect_close(const std::vector<float>& got, const std::vector<float>& expected,
                  const std::string& what) {
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(double{expected[i]}));
    worst = std::max(worst, std::abs(double{got[i]} - expected[i]));
  }
  if (worst <= kTolerance * largest) return;
  std::fprintf(stderr, "%s: differs from scalar by %g, largest value %g\n", what.c_str(), worst, largest);
  std::exit(1);
}

void bench_matmul(benchmark::State& state, const Table& ops, std::size_t rows) {
  static const std::vector<std::uint16_t> bits = [] {
    std::vector<std::uint16_t> out;
    for (const float x : random_floats(kOut * kIn, 1)) out.push_back(base::f32_to_bf16(x));
    return out;
  }();
  const Weight weight = {bits.data(), WeightType::kBf16, kOut, kIn};
  std::vector<float> x = random_floats(rows * kIn, 2), y(rows * kOut), expected(rows * kOut);
  constexpr std::size_t kChecked = 64;  // outputs; the check must not take longer than the measurement
  ops.matmul_range(weight, {x.data(), rows, kIn}, {y.data(), rows, kOut}, 0, kChecked);
  kernels::find("scalar")->matmul_range(weight, {x.data(), rows, kIn}, {expected.data(), rows, kOut}, 0,
                                        kChecked);
  expect_close(y, expected, std::string("matmul ") + ops.name);
  for (auto _ : state) {
    ops.matmul_range(weight, {x.data(), rows, kIn}, {y.data(), rows, kOut}, 0, kOut);
    benchmark::ClobberMemory();
  }
  const double work = static_cast<double>(state.iterations()) * static_cast<double>(kOut * kIn);
  state.counters["GB/s"] = benchmark::Counter(2e-9 * work, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * work * static_cast<double>(rows), benchmark::Counter::kIsRate);
}

struct Scene {
  std::unique_ptr<kv::Cache> cache;
  std::vector<float> queries, out;
  std::vector<kv::Visible> visible;
  std::size_t width = kKvHeads * kGroup * kHeadDim;

  void attend(const kernels::Compute& compute) {
    const std::size_t rows = visible.size();
    const Status status = cache->attend(
        compute, {0, {queries.data(), rows, width}, visible, 0.088f, {out.data(), rows, width}});
    if (!status.ok()) std::abort();
  }
};

Scene make_scene(const kernels::Compute& compute, const std::string& channel, std::size_t rows) {
  Scene scene;
  auto cache = kv::Cache::create({1, kKvHeads, kHeadDim}, {*kv::parse_channel(channel), 0, kTokens});
  if (!cache.ok()) std::abort();
  scene.cache = std::move(*cache);
  const std::size_t kv_width = kKvHeads * kHeadDim;
  std::vector<float> k = random_floats(kTokens * kv_width, 3), v = random_floats(kTokens * kv_width, 4);
  if (!scene.cache->append(compute, 0, {k.data(), kTokens, kv_width}, {v.data(), kTokens, kv_width}).ok())
    std::abort();
  scene.queries = random_floats(rows * scene.width, 5);
  scene.out.resize(rows * scene.width);
  scene.visible.assign(rows, {0, kTokens});
  return scene;
}

void bench_attend(benchmark::State& state, const Table& ops, const std::string& channel, std::size_t rows) {
  base::ThreadPool pool(1);
  const kernels::Compute scalar = {kernels::find("scalar"), &pool}, compute = {&ops, &pool};
  Scene scene = make_scene(scalar, channel, rows);
  scene.attend(scalar);
  const std::vector<float> expected = scene.out;
  scene.attend(compute);
  expect_close(scene.out, expected, "attend " + channel + " " + ops.name);
  for (auto _ : state) scene.attend(compute);
  const double vectors =
      static_cast<double>(state.iterations()) * static_cast<double>(2 * kTokens * kKvHeads);
  state.counters["Mvec/s"] = benchmark::Counter(1e-6 * vectors, benchmark::Counter::kIsRate);
  const double flops = vectors * static_cast<double>(2 * kHeadDim * kGroup * rows);
  state.counters["GFLOP/s"] = benchmark::Counter(1e-9 * flops, benchmark::Counter::kIsRate);
}

void bench_append(benchmark::State& state, const Table& ops, const std::string& channel) {
  base::ThreadPool pool(1);
  const kernels::Compute compute = {&ops, &pool};
  Scene scene = make_scene(compute, channel, 1);
  constexpr std::size_t kRows = 64, kWidth = kKvHeads * kHeadDim;
  std::vector<float> k = random_floats(kRows * kWidth, 6), v = random_floats(kRows * kWidth, 7);
  for (auto _ : state) {
    scene.cache->truncate(kTokens - kRows);
    if (!scene.cache->append(compute, 0, {k.data(), kRows, kWidth}, {v.data(), kRows, kWidth}).ok())
      std::abort();
  }
  const double vectors = static_cast<double>(state.iterations()) * static_cast<double>(2 * kRows * kKvHeads);
  state.counters["Mvec/s"] = benchmark::Counter(1e-6 * vectors, benchmark::Counter::kIsRate);
}

void bench_hadamard(benchmark::State& state, const Table& ops) {
  std::vector<float> x = random_floats(kHeadDim, 8);
  for (auto _ : state) {
    ops.hadamard(x.data(), kHeadDim);
    benchmark::ClobberMemory();
  }
}

void register_all() {
  for (const Table* ops : kernels::available()) {
    const std::string variant = ops->name;
    for (const std::size_t rows : {1, 8, 16, 64}) {
      benchmark::RegisterBenchmark(("matmul/" + variant + "/rows:" + std::to_string(rows)).c_str(),
                                   [=](benchmark::State& state) { bench_matmul(state, *ops, rows); });
    }
    benchmark::RegisterBenchmark(("hadamard/" + variant).c_str(),
                                 [=](benchmark::State& state) { bench_hadamard(state, *ops); });
    for (const kv::ChannelFamily& family : kv::channel_families()) {
      for (const std::string& channel : family.examples) {
        for (const std::size_t rows : {1, 16}) {
          const std::string name = "attend/" + variant + "/" + channel + "/rows:" + std::to_string(rows);
          benchmark::RegisterBenchmark(
              name.c_str(), [=](benchmark::State& state) { bench_attend(state, *ops, channel, rows); });
        }
        benchmark::RegisterBenchmark(("append/" + variant + "/" + channel).c_str(),
                                     [=](benchmark::State& state) { bench_append(state, *ops, channel); });
      }
    }
  }
}

}  // namespace
}  // namespace kakeya

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  kakeya::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
