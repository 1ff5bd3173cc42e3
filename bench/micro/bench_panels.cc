// Speed of products of quantised panels and of bf16 weights, per CPU variant, weight type and number of rows,
// at the shapes of an 8B model; each checked against scalar before it is timed. `kakeya-bench-panels
// --threads=2
// --benchmark_filter=q4_0/4096x12288/rows:16/amx`. With --cold=3 copies of a matrix that fill 3 GB take
// turns, as the layers of a model do, so that weights come from memory and not from a large cache.
#include <benchmark/benchmark.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/blocks.h"
#include "kernels/panels.h"

namespace kakeya {
namespace {

using kernels::Table;
using kernels::Weight;
using kernels::WeightType;

struct Shape {
  std::size_t in, out;
};

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<std::byte, Free>;

Buffer huge_buffer(std::size_t bytes) {
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  bytes = (bytes + kHuge - 1) / kHuge * kHuge;
  Buffer out(static_cast<std::byte*>(std::aligned_alloc(kHuge, bytes)));
  if (out == nullptr) std::abort();
#if defined(__linux__)
  madvise(out.get(), bytes, MADV_HUGEPAGE);
#endif
  return out;
}

struct Matrix {
  Buffer data;
  Weight weight;  // the first copy
  std::size_t bytes = 0, copies = 1;

  Weight copy(std::size_t i) const {
    Weight out = weight;
    out.data = static_cast<const std::byte*>(weight.data) + i % copies * bytes;
    return out;
  }
};

// Fills what follows the first copy with that.
void repeat(Matrix& matrix) {
  for (std::size_t i = 1; i < matrix.copies; ++i) {
    std::memcpy(matrix.data.get() + i * matrix.bytes, matrix.data.get(), matrix.bytes);
  }
}

void allocate(Matrix& matrix, std::size_t bytes, std::size_t cold_bytes) {
  matrix.bytes = bytes;
  matrix.copies = std::max<std::size_t>(1, cold_bytes / bytes);
  matrix.data = huge_buffer(matrix.copies * bytes);
}

void make_bf16(Matrix& matrix, const Shape& shape, std::size_t cold_bytes) {
  allocate(matrix, 2 * shape.out * shape.in, cold_bytes);
  std::mt19937 random(1);
  for (std::size_t i = 0; i < shape.out * shape.in; ++i) {  // signed, 0.008 to 0.06
    const auto bits = static_cast<std::uint16_t>(0x3c00 | (random() & 0x817f));
    std::memcpy(matrix.data.get() + 2 * i, &bits, 2);
  }
  matrix.weight = {matrix.data.get(), WeightType::kBf16, shape.out, shape.in};
  repeat(matrix);
}

// Random rows, repeated: the kernels' speed does not depend on values.
const Matrix& matrix_of(WeightType type, const Shape& shape, std::size_t cold_bytes) {
  static std::map<WeightType, Matrix> kept;
  Matrix& matrix = kept[type];
  if (matrix.weight.in == shape.in && matrix.weight.out == shape.out) return matrix;
  kept.clear();
  Matrix& fresh = kept[type];
  if (type == WeightType::kBf16) {
    make_bf16(fresh, shape, cold_bytes);
    return fresh;
  }
  std::mt19937 random(1);
  constexpr std::size_t kDistinct = 64;
  const bool affine = type == WeightType::kAffine4 || type == WeightType::kAffine8;
  const std::size_t group = affine ? 64 : 0;
  const std::size_t row_bytes =
      affine ? shape.in * (type == WeightType::kAffine4 ? 4 : 8) / 8 : kernels::row_bytes(type, shape.in);
  std::vector<std::byte> rows(kDistinct * row_bytes);
  std::vector<std::uint16_t> scales(kDistinct * shape.in / 64, 0x3c00);  // bf16, about 0.008
  for (std::byte& b : rows) b = static_cast<std::byte>(random());
  const std::size_t block = affine ? rows.size() : kernels::block_bytes(type);
  for (std::size_t at = 0; !affine && at < rows.size(); at += block) {  // f16 scales that are numbers
    const std::uint16_t scale = static_cast<std::uint16_t>(0x1c00 + random() % 1024);
    std::memcpy(rows.data() + at + (type == WeightType::kQ6K ? offsetof(kernels::BlockQ6K, d) : 0), &scale,
                2);
    if (type == WeightType::kQ4K || type == WeightType::kQ5K) std::memcpy(rows.data() + at + 2, &scale, 2);
  }
  std::vector<std::uint32_t> source(shape.out);
  for (std::size_t o = 0; o < shape.out; ++o) source[o] = static_cast<std::uint32_t>(o % kDistinct);
  allocate(fresh, kernels::panel_bytes(type, shape.out, shape.in, group), cold_bytes);
  base::ThreadPool pool(base::usable_cores());
  fresh.weight = kernels::pack_panels(
      pool, {type, shape.out, shape.in, rows.data(), scales.data(), scales.data(), WeightType::kBf16, group},
      source, {fresh.data.get(), fresh.bytes});
  repeat(fresh);
  return fresh;
}

struct Options {
  int threads = 1;
  std::size_t cold_bytes = 0;
  std::vector<Shape> shapes = {{4096, 4096}, {4096, 12288}, {12288, 4096}, {4096, 151936}};
};

constexpr std::size_t kChecked = 64;  // outputs of a row

// Panels have the bits of scalar with every variant; floats are summed in another order.
bool agree(WeightType type, const float* expected, const float* got) {
  if (kernels::is_quantised(type)) return std::memcmp(expected, got, kChecked * sizeof(float)) == 0;
  double largest = 0, worst = 0;
  for (std::size_t o = 0; o < kChecked; ++o) {
    largest = std::max(largest, std::abs(double{expected[o]}));
    worst = std::max(worst, std::abs(double{expected[o]} - got[o]));
  }
  return worst <= 1e-5 * largest;
}

void bench(benchmark::State& state, const Table& ops, WeightType type, const Shape& shape, std::size_t rows,
           const Options& options) {
  const Matrix& matrix = matrix_of(type, shape, options.cold_bytes);
  base::ThreadPool pool(options.threads);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(rows * shape.in), y(rows * shape.out), expected(rows * kChecked);
  for (float& v : x) v = normal(random);
  const kernels::Compute compute = {&ops, &pool};
  kernels::matmul(compute, matrix.weight, {x.data(), rows, shape.in}, {y.data(), rows, shape.out});
  Weight part = matrix.weight;
  part.out = kChecked;
  kernels::matmul({kernels::find("scalar"), &pool}, part, {x.data(), rows, shape.in},
                  {expected.data(), rows, kChecked});
  for (std::size_t r = 0; r < rows; ++r) {
    if (agree(type, expected.data() + r * kChecked, y.data() + r * shape.out)) continue;
    std::fprintf(stderr, "%s %s: row %zu of %zu differs from scalar\n", ops.name, to_string(type), r, rows);
    std::exit(1);
  }
  std::size_t turn = 0;
  for (auto _ : state) {
    kernels::matmul(compute, matrix.copy(turn++), {x.data(), rows, shape.in}, {y.data(), rows, shape.out});
    benchmark::ClobberMemory();
  }
  const double blocks = static_cast<double>(shape.in / 32 * shape.out / 16);
  const auto times = static_cast<double>(state.iterations());
  state.counters["GB/s"] =
      benchmark::Counter(1e-9 * times * static_cast<double>(matrix.bytes), benchmark::Counter::kIsRate);
  state.counters["GOPS"] = benchmark::Counter(1e-9 * times * 1024 * blocks * static_cast<double>(rows),
                                              benchmark::Counter::kIsRate);
  // Of one thread, per block of 16 outputs and 32 inputs with all rows.
  state.counters["ns/block"] = benchmark::Counter(
      1e-9 * times * blocks / options.threads,
      benchmark::Counter::Flags(benchmark::Counter::kIsRate | benchmark::Counter::kInvert));
}

void register_all(const Options& options) {
  for (const WeightType type :
       {WeightType::kQ4_0, WeightType::kQ8_0, WeightType::kQ4K, WeightType::kQ5K, WeightType::kQ6K,
        WeightType::kAffine4, WeightType::kAffine8, WeightType::kBf16}) {
    for (const Shape& shape : options.shapes) {
      for (const std::size_t rows : {1, 2, 4, 8, 16, 32, 64, 512}) {
        for (const Table* ops : kernels::available()) {
          const std::string name = std::string(to_string(type)) + "/" + std::to_string(shape.in) + "x" +
                                   std::to_string(shape.out) + "/rows:" + std::to_string(rows) + "/" +
                                   ops->name;
          benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
            bench(state, *ops, type, shape, rows, options);
          })->UseRealTime();
        }
      }
    }
  }
}

}  // namespace
}  // namespace kakeya

int main(int argc, char** argv) {
  using namespace kakeya;
  benchmark::Initialize(&argc, argv);
  Options options;
  for (int i = 1; i < argc; ++i) {
    Shape shape = {};
    std::size_t cold = 0;
    if (std::sscanf(argv[i], "--threads=%d", &options.threads) == 1 && options.threads >= 1) continue;
    if (std::sscanf(argv[i], "--cold=%zu", &cold) == 1) {
      options.cold_bytes = cold << 30;
    } else if (std::sscanf(argv[i], "--shape=%zux%zu", &shape.in, &shape.out) == 2 && shape.in % 256 == 0) {
      options.shapes = {shape};
    } else {
      std::fprintf(
          stderr,
          "%s: expected --threads=N, --cold=GB, --shape=INxOUT (IN a multiple of 256) or an option of "
          "google-benchmark\n",
          argv[i]);
      return 2;
    }
  }
  register_all(options);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
