// Fast attention: its error beside the channel's own, and that a row's bits depend on the row alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "kernels/code_products.h"
#include "kv/test_allocations.h"
#include "kv/test_rows.h"

namespace kakeya::kv {
namespace {

constexpr std::size_t kAlways = 1;
const std::size_t kNever = CacheOptions{}.fast_attention_from;

// Tables with fast attention on this CPU; few machines have none to test.
std::vector<const kernels::Table*> fast_tables(const std::string& channel) {
  std::vector<const kernels::Table*> out;
  for (const kernels::Table* table : kernels::available()) {
    if ((*make_codec(*parse_channel(channel), 128))->code_products(*table) != nullptr) out.push_back(table);
  }
  return out;
}

struct Scene {
  std::size_t kv_heads = 1, group = 4, dim = 128, tokens = 1300;
  std::vector<Visible> visible;
  std::size_t width() const { return kv_heads * group * dim; }
};

enum class Data { kGaussian, kOutliers, kWild };

std::vector<float> rows_of(const Scene& scene, Data data, unsigned seed) {
  if (data == Data::kWild) return cache_rows(scene.tokens, scene.kv_heads, scene.dim, seed);
  std::vector<float> out = random_floats(scene.tokens * scene.kv_heads * scene.dim, seed);
  // As keys of real models: the same few channels are large in every row, and some rows are.
  for (std::size_t i = 0; data == Data::kOutliers && i < out.size(); ++i) {
    if (i % scene.dim % 50 == 3) out[i] = 8.0f + 4.0f * out[i];
    if (i / scene.dim % 97 == 5) out[i] *= 6.0f;
  }
  return out;
}

std::unique_ptr<PackedCache> filled(const Scene& scene, const std::string& channel, std::size_t fast_from,
                                    const kernels::Compute& compute, Data data) {
  auto cache = make_cache({1, scene.kv_heads, scene.dim}, channel, scene.tokens, 0, fast_from);
  std::vector<float> k = rows_of(scene, data, 51), v = rows_of(scene, data, 52);
  EXPECT_TRUE(append_rows(*cache, compute, 0, k, v, 0, scene.tokens).ok());
  return cache;
}

// Rows [first, first + n) of the scene.
std::vector<float> attend(PackedCache& cache, const Scene& scene, const kernels::Compute& compute,
                          std::vector<float>& queries, std::size_t first, std::size_t n) {
  const std::size_t width = scene.width();
  std::vector<float> out(n * width, -7.0f);
  const Status status = cache.attend(compute, {0,
                                               {queries.data() + first * width, n, width},
                                               {scene.visible.data() + first, n},
                                               1.0f / std::sqrt(static_cast<float>(scene.dim)),
                                               {out.data(), n, width}});
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

std::vector<Visible> causal(std::size_t rows, std::size_t tokens) {
  std::vector<Visible> out;
  for (std::size_t r = 0; r < rows; ++r) out.push_back({0, tokens - rows + r + 1});
  return out;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - b[i], 2);
  return std::sqrt(sum);
}

class EveryFastChannel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (tables().empty()) GTEST_SKIP() << "this CPU has no fast attention";
  }
  static std::vector<const kernels::Table*> tables() { return fast_tables(GetParam()); }
  base::ThreadPool pool_{2};
};
INSTANTIATE_TEST_SUITE_P(AttendCodes, EveryFastChannel,
                         testing::Values("bf16", "e8-q4", "e8-q7", "e8-q10", "e8-q31", "e8-q38", "e8-q63",
                                         "d4-q4", "d4-q10", "d4-q38"),
                         test_name);

TEST_P(EveryFastChannel, DiffersFromExactByLessThanATenthOfTheChannelsOwnError) {
  for (const Data data : {Data::kGaussian, Data::kOutliers}) {
    for (const auto& [sharp, table] : {std::pair(1.0f, tables().front()), std::pair(1.0f, tables().back()),
                                       std::pair(4.0f, tables().front()), std::pair(4.0f, tables().back())}) {
      Scene scene;
      scene.visible = causal(3, scene.tokens);
      const kernels::Compute compute = {table, &pool_};
      std::vector<float> queries = random_floats(3 * scene.width(), 53, sharp);
      const auto out = [&](const std::string& channel, std::size_t from) {
        return attend(*filled(scene, channel, from, compute, data), scene, compute, queries, 0, 3);
      };
      const std::vector<float> plain = out("f32", kNever), exact = out(GetParam(), kNever),
                               fast = out(GetParam(), kAlways);
      EXPECT_NE(fast, exact);
      EXPECT_LT(distance(fast, exact), 0.1 * distance(exact, plain))
          << table->name << " data " << static_cast<int>(data);
      RecordProperty("ratio_" + std::string(table->name) + "_data" + std::to_string(static_cast<int>(data)) +
                         "_sharp" + std::to_string(static_cast<int>(sharp)),
                     std::to_string(distance(fast, exact) / distance(exact, plain)));
    }
  }
}

TEST_P(EveryFastChannel, EveryVariantOfIntegersGivesTheSameBits) {
  if (GetParam() == "bf16") GTEST_SKIP() << "sums of floats: an order of its own per variant";
  for (const std::size_t dim : {64, 128, 256}) {
    Scene scene = {2, 3, dim, 700, causal(5, 700)};
    scene.visible[1] = {130, 645};
    std::vector<float> queries = random_floats(5 * scene.width(), 54), expected;
    for (const kernels::Table* table : tables()) {
      const kernels::Compute compute = {table, &pool_};
      const auto cache = filled(scene, GetParam(), kAlways, compute, Data::kGaussian);
      const std::vector<float> out = attend(*cache, scene, compute, queries, 0, 5);
      if (expected.empty()) expected = out;
      EXPECT_EQ(out, expected) << table->name << " dim " << dim;
    }
  }
}

TEST_P(EveryFastChannel, ARowsResultDoesNotDependOnItsNeighboursTheThreadsOrTheThreshold) {
  constexpr std::size_t kFrom = 700;
  base::ThreadPool one(1), five(5);
  Scene scene;
  scene.visible = causal(16, scene.tokens);
  scene.visible[2] = {100, 799};  // one short of the threshold
  scene.visible[3] = {100, 800};
  scene.visible[4] = {5, 5};
  scene.visible[9] = {scene.tokens - 1, scene.tokens};
  scene.visible[11] = {13, 713};
  for (const kernels::Table* table : tables()) {
    const auto mixed = filled(scene, GetParam(), kFrom, {table, &one}, Data::kWild);
    const auto exact = filled(scene, GetParam(), kNever, {table, &one}, Data::kWild);
    const auto fast = filled(scene, GetParam(), kAlways, {table, &one}, Data::kWild);
    std::vector<float> queries = random_floats(16 * scene.width(), 55);
    const std::size_t width = scene.width();
    const std::vector<float> expected = attend(*mixed, scene, {table, &one}, queries, 0, 16);
    for (base::ThreadPool* pool : {&one, &pool_, &five}) {
      const kernels::Compute compute = {table, pool};
      EXPECT_EQ(attend(*mixed, scene, compute, queries, 0, 16), expected) << pool->threads();
      for (std::size_t r = 0; r < 16; ++r) {
        const std::vector<float> alone = attend(*mixed, scene, compute, queries, r, 1);
        ASSERT_EQ(0, std::memcmp(alone.data(), expected.data() + r * width, width * sizeof(float)))
            << table->name << " row " << r << " threads " << pool->threads();
        const Visible seen = scene.visible[r];
        PackedCache& same = seen.last - seen.first >= kFrom ? *fast : *exact;
        EXPECT_EQ(attend(same, scene, compute, queries, r, 1), alone) << "row " << r;
      }
    }
  }
}

// Chunks, groups of rows that are not full, ranges inside pages and segments.
TEST_P(EveryFastChannel, ManyRowsEqualTheSameRowsInSmallCalls) {
  for (const std::size_t group : {1, 3}) {
    Scene scene = {2, group, 64, 600, causal(90, 600)};
    for (std::size_t r = 40; r < 60; ++r) scene.visible[r] = {5 * r, 5 * r + 60};
    const kernels::Compute compute = {tables().back(), &pool_};
    const auto cache = filled(scene, GetParam(), kAlways, compute, Data::kGaussian);
    std::vector<float> queries = random_floats(90 * scene.width(), 56);
    const std::vector<float> expected = attend(*cache, scene, compute, queries, 0, 90);
    for (std::size_t first = 0; first < 90; first += 7) {
      const std::size_t n = std::min<std::size_t>(7, 90 - first);
      const std::vector<float> out = attend(*cache, scene, compute, queries, first, n);
      ASSERT_EQ(0,
                std::memcmp(out.data(), expected.data() + first * scene.width(), out.size() * sizeof(float)))
          << first;
    }
  }
}

// Every position wins once: a place that is unpacked wrongly, or the scale of another row, shows at once.
TEST_P(EveryFastChannel, EachRowAloneIsReturnedAlmostAsItIsStored) {
  Scene scene = {1, 1, 64, 200, {}};
  const kernels::Compute compute = {tables().back(), &pool_};
  const auto cache = filled(scene, GetParam(), kAlways, compute, Data::kWild);
  for (std::size_t t = 0; t < scene.tokens; ++t) scene.visible.push_back({t, t + 1});
  std::vector<float> queries = random_floats(scene.tokens * 64, 57), row(64);
  const std::vector<float> out = attend(*cache, scene, compute, queries, 0, scene.tokens);
  for (std::size_t t = 0; t < scene.tokens; ++t) {
    cache->read_row(compute, 0, 0, true, t, row);
    float largest = 0;
    for (const float x : row) largest = std::max(largest, std::abs(x));
    for (std::size_t d = 0; d < 64; ++d) ASSERT_NEAR(out[t * 64 + d], row[d], 1e-5f * largest) << t;
  }
}

TEST_P(EveryFastChannel, ANanQueryIsAnErrorThatNamesItsRow) {
  Scene scene = {2, 1, 64, 40, {{0, 3}, {0, 40}, {0, 40}, {0, 40}}};
  for (const kernels::Table* table : tables()) {
    const auto cache = filled(scene, GetParam(), 10, {table, &pool_}, Data::kGaussian);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> queries = random_floats(4 * 128, 58), out(4 * 128);
      queries[2 * 128 + 70] = bad;
      const Status status = cache->attend(
          {table, &pool_}, {0, {queries.data(), 4, 128}, scene.visible, 0.125f, {out.data(), 4, 128}});
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().code, ErrorCode::kNumeric);
      EXPECT_NE(status.error().message.find("query row 2"), std::string::npos) << status.error().message;
    }
  }
}

TEST_P(EveryFastChannel, SteadyStateAllocatesNothing) {
  Scene scene = {2, 4, 128, 700, causal(16, 700)};
  const kernels::Compute compute = {tables().back(), &pool_};
  const auto cache = filled(scene, GetParam(), 690, compute, Data::kGaussian);
  std::vector<float> queries = random_floats(16 * scene.width(), 59), out(queries.size());
  const auto step = [&] {
    const Status status = cache->attend(
        compute,
        {0, {queries.data(), 16, scene.width()}, scene.visible, 0.1f, {out.data(), 16, scene.width()}});
    if (!status.ok()) std::abort();
  };
  step();
  const std::size_t before = allocations_so_far();
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(allocations_so_far() - before, 0u);
}

TEST(AttendCodes, RangesThatDoNotFitBytesOddSizesAndVariantsWithoutKernelsStayExact) {
  base::ThreadPool pool(1);
  Scene scene;
  scene.tokens = 100;
  scene.visible = causal(2, 100);
  for (const std::string channel : {"e8-q64", "d4-q255", "e8-q10", "bf16", "q8_0"}) {
    scene.dim = channel == "bf16" ? 80 : 128;
    std::vector<float> queries = random_floats(2 * scene.width(), 60);
    for (const kernels::Table* table : kernels::available()) {
      if (channel == "e8-q10" && kernels::find_code_products(table->name) != nullptr) continue;
      const kernels::Compute compute = {table, &pool};
      const auto fast = filled(scene, channel, kAlways, compute, Data::kGaussian);
      const auto exact = filled(scene, channel, kNever, compute, Data::kGaussian);
      EXPECT_EQ(attend(*fast, scene, compute, queries, 0, 2), attend(*exact, scene, compute, queries, 0, 2))
          << channel << table->name;
    }
  }
}

TEST(AttendCodes, EveryVariantFromAvx2OrDotProductsOnHasFastAttention) {
  const std::vector<const kernels::Table*> fast = fast_tables("e8-q10");
  for (const kernels::Table* table : kernels::available()) {
    const std::string name = table->name;
    const bool expected = name != "scalar" && name != "sse4" && name != "neon";
    EXPECT_EQ(std::count(fast.begin(), fast.end(), table), expected ? 1 : 0) << name;
  }
}

}  // namespace
}  // namespace kakeya::kv
