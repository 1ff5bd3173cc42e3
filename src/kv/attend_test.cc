// Attention on packed rows against attention over decoded rows in double precision, its invariances and
// errors.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "kv/test_allocations.h"
#include "kv/test_rows.h"

namespace kakeya::kv {
namespace {

// Largest difference to the plain path, relative to the largest output value of the call, for scores of
// ordinary size. A score s carries an error of s * 2^-24 whatever the path, and exp makes it relative, so
// calls with large scores are allowed as many times more as the largest score is above kOrdinaryScore.
constexpr double kTolerance = 2e-6;
constexpr double kOrdinaryScore = 8;

struct Scene {
  KvShape shape;
  std::size_t group;
  std::size_t tokens;
  std::vector<Visible> visible;
};

std::size_t width_of(const Scene& scene) { return scene.shape.kv_heads * scene.group * scene.shape.head_dim; }

enum class Data { kGaussian, kWild };

std::unique_ptr<PackedCache> filled_cache(const Scene& scene, const std::string& channel,
                                          const kernels::Compute& compute, Data data = Data::kWild) {
  auto cache = make_cache(scene.shape, channel, scene.tokens);
  const std::size_t heads = scene.shape.kv_heads, dim = scene.shape.head_dim;
  const auto rows = [&](unsigned seed) {
    return data == Data::kWild ? cache_rows(scene.tokens, heads, dim, seed)
                               : random_floats(scene.tokens * heads * dim, seed);
  };
  std::vector<float> k = rows(31), v = rows(32);
  for (std::size_t layer = 0; layer < scene.shape.layers; ++layer) {
    EXPECT_TRUE(append_rows(*cache, compute, layer, k, v, 0, scene.tokens).ok());
  }
  return cache;
}

std::vector<float> attend(PackedCache& cache, const Scene& scene, const kernels::Compute& compute,
                          std::vector<float>& queries) {
  const std::size_t rows = scene.visible.size(), width = width_of(scene);
  std::vector<float> out(rows * width, -7.0f);
  const float scale = 1.0f / std::sqrt(static_cast<float>(scene.shape.head_dim));
  const Status status = cache.attend(
      compute, {0, {queries.data(), rows, width}, scene.visible, scale, {out.data(), rows, width}});
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

struct PlainResult {
  std::vector<double> out;
  double largest_score = 0;
};

// The plain path: every row decoded, then textbook attention in double precision.
PlainResult plain_attention(const PackedCache& cache, const Scene& scene, const kernels::Compute& compute,
                            const std::vector<float>& queries) {
  const std::size_t dim = scene.shape.head_dim, heads = scene.shape.kv_heads * scene.group;
  std::vector<float> k(scene.tokens * dim), v(scene.tokens * dim);
  PlainResult result;
  result.out.resize(scene.visible.size() * heads * dim);
  const double scale = 1.0f / std::sqrt(static_cast<float>(dim));
  for (std::size_t head = 0; head < heads; ++head) {
    for (std::size_t t = 0; head % scene.group == 0 && t < scene.tokens; ++t) {
      cache.read_row(compute, 0, head / scene.group, false, t, {k.data() + t * dim, dim});
      cache.read_row(compute, 0, head / scene.group, true, t, {v.data() + t * dim, dim});
    }
    for (std::size_t r = 0; r < scene.visible.size(); ++r) {
      const float* q = queries.data() + (r * heads + head) * dim;
      const Visible seen = scene.visible[r];
      std::vector<double> weights(scene.tokens);
      double largest = -1e300, total = 0;
      for (std::size_t t = seen.first; t < seen.last; ++t) {
        for (std::size_t d = 0; d < dim; ++d) weights[t] += double{q[d]} * k[t * dim + d] * scale;
        largest = std::max(largest, weights[t]);
        result.largest_score = std::max(result.largest_score, std::abs(weights[t]));
      }
      for (std::size_t t = seen.first; t < seen.last; ++t)
        total += weights[t] = std::exp(weights[t] - largest);
      double* out = result.out.data() + (r * heads + head) * dim;
      for (std::size_t t = seen.first; t < seen.last; ++t) {
        for (std::size_t d = 0; d < dim; ++d) out[d] += weights[t] / total * v[t * dim + d];
      }
    }
  }
  return result;
}

void expect_near_plain(PackedCache& cache, const Scene& scene, const kernels::Compute& compute) {
  std::vector<float> queries = random_floats(scene.visible.size() * width_of(scene), 33);
  const std::vector<float> out = attend(cache, scene, compute, queries);
  const PlainResult expected = plain_attention(cache, scene, compute, queries);
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    largest = std::max(largest, std::abs(expected.out[i]));
    worst = std::max(worst, std::abs(out[i] - expected.out[i]));
  }
  EXPECT_LE(worst, kTolerance * std::max(1.0, expected.largest_score / kOrdinaryScore) * largest)
      << "D " << scene.shape.head_dim << " tokens " << scene.tokens << " score " << expected.largest_score;
}

std::vector<Visible> causal(std::size_t rows, std::size_t tokens) {
  std::vector<Visible> out;
  for (std::size_t r = 0; r < rows; ++r) out.push_back({0, tokens - rows + r + 1});
  return out;
}

class EveryAttendChannel : public testing::TestWithParam<std::string> {
 protected:
  base::ThreadPool pool_{2};
  kernels::Compute compute_ = {&kernels::best(), &pool_};
};
INSTANTIATE_TEST_SUITE_P(Attend, EveryAttendChannel, testing::ValuesIn(all_channels()), test_name);

TEST_P(EveryAttendChannel, AgreesWithAttentionOverDecodedRows) {
  for (const Data data : {Data::kGaussian, Data::kWild}) {
    for (const std::size_t dim : {64, 128, 256}) {
      for (const std::size_t tokens : {1, 31, 100, 600}) {
        if (dim != 128 && (tokens == 600 || data == Data::kWild)) continue;
        const Scene scene = {{1, 2, dim}, 3, tokens, causal(std::min<std::size_t>(tokens, 5), tokens)};
        auto cache = filled_cache(scene, GetParam(), compute_, data);
        expect_near_plain(*cache, scene, compute_);
      }
    }
  }
}

TEST_P(EveryAttendChannel, AgreesUnderEveryCpuVariant) {
  for (const kernels::Table* ops : kernels::available()) {
    const Scene scene = {{1, 1, 128}, 2, 90, causal(4, 90)};
    auto cache = filled_cache(scene, GetParam(), {ops, &pool_}, Data::kGaussian);
    expect_near_plain(*cache, scene, {ops, &pool_});
  }
}

TEST_P(EveryAttendChannel, SlidingAndBidirectionalRangesAreHonoured) {
  std::vector<Visible> visible;
  for (std::size_t r = 0; r < 20; ++r)
    visible.push_back({480 + 3 * r, 520 + 3 * r});  // across a segment's end
  for (std::size_t r = 0; r < 4; ++r) visible.push_back({0, 600});
  visible.push_back({599, 600});
  visible.push_back({511, 513});
  const Scene scene = {{1, 1, 64}, 2, 600, visible};
  auto cache = filled_cache(scene, GetParam(), compute_);
  expect_near_plain(*cache, scene, compute_);
}

TEST_P(EveryAttendChannel, ARowsResultDoesNotDependOnItsNeighboursOrTheThreads) {
  base::ThreadPool one(1), five(5);
  for (const std::size_t tokens : {40, 1300}) {
    Scene together = {{1, 1, 128}, 4, tokens, causal(16, tokens)};
    together.visible[3] = {tokens / 3, tokens / 2};
    together.visible[4] = {5, 5};
    together.visible[9] = {tokens - 1, tokens};
    auto cache = filled_cache(together, GetParam(), {&kernels::best(), &one});
    std::vector<float> queries = random_floats(16 * width_of(together), 34);
    const std::vector<float> expected = attend(*cache, together, {&kernels::best(), &one}, queries);
    for (base::ThreadPool* pool : {&one, &pool_, &five}) {
      const kernels::Compute compute = {&kernels::best(), pool};
      EXPECT_EQ(attend(*cache, together, compute, queries), expected) << pool->threads();
      for (const std::size_t r : {0, 3, 4, 9, 15}) {
        const std::size_t width = width_of(together);
        const Scene alone = {together.shape, together.group, tokens, {together.visible[r]}};
        std::vector<float> query(queries.begin() + static_cast<std::ptrdiff_t>(r * width),
                                 queries.begin() + static_cast<std::ptrdiff_t>((r + 1) * width));
        const std::vector<float> out = attend(*cache, alone, compute, query);
        ASSERT_EQ(0, std::memcmp(out.data(), expected.data() + r * width, width * sizeof(float)))
            << "row " << r << " threads " << pool->threads() << " tokens " << tokens;
      }
    }
  }
}

TEST_P(EveryAttendChannel, ManyRowsEqualTheSameRowsInSmallCalls) {
  const Scene all = {{1, 2, 64}, 1, 600, causal(150, 600)};  // more than one chunk, the diagonal of a prefill
  auto cache = filled_cache(all, GetParam(), compute_);
  const std::size_t width = width_of(all);
  std::vector<float> queries = random_floats(150 * width, 35);
  const std::vector<float> expected = attend(*cache, all, compute_, queries);
  for (std::size_t first = 0; first < 150; first += 7) {
    const std::size_t n = std::min<std::size_t>(7, 150 - first);
    const Scene few = {all.shape, 1, 600, {all.visible.data() + first, all.visible.data() + first + n}};
    std::vector<float> part(queries.data() + first * width, queries.data() + (first + n) * width);
    const std::vector<float> out = attend(*cache, few, compute_, part);
    ASSERT_EQ(0, std::memcmp(out.data(), expected.data() + first * width, n * width * sizeof(float)))
        << first;
  }
}

TEST_P(EveryAttendChannel, ANanQueryIsAnErrorThatNamesItsRow) {
  const Scene scene = {{1, 2, 64}, 1, 40, causal(3, 40)};
  auto cache = filled_cache(scene, GetParam(), compute_);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> queries = random_floats(3 * 128, 36), out(3 * 128);
    queries[2 * 128 + 70] = bad;
    const Status status =
        cache->attend(compute_, {0, {queries.data(), 3, 128}, scene.visible, 0.125f, {out.data(), 3, 128}});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kNumeric);
    EXPECT_NE(status.error().message.find("query row 2"), std::string::npos) << status.error().message;
  }
}

TEST_P(EveryAttendChannel, SteadyStateAllocatesNothing) {
  const Scene scene = {{2, 2, 128}, 2, 200, causal(8, 200)};
  auto cache = filled_cache(scene, GetParam(), compute_);
  const std::size_t width = width_of(scene);
  std::vector<float> queries = random_floats(8 * width, 37), out(8 * width);
  std::vector<float> k = random_floats(256, 38), v = random_floats(256, 39);
  const auto step = [&] {
    cache->truncate(192);  // inside the last page
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (int i = 0; i < 8; ++i) {
        if (!cache->append(compute_, layer, {k.data(), 1, 256}, {v.data(), 1, 256}).ok()) std::abort();
      }
      if (!cache
               ->attend(compute_,
                        {layer, {queries.data(), 8, width}, scene.visible, 0.1f, {out.data(), 8, width}})
               .ok()) {
        std::abort();
      }
    }
    cache->rewind_to(195);
  };
  step();
  const std::size_t before = allocations_so_far();
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(allocations_so_far() - before, 0u);
}

TEST(Attend, RowsThatSeeNothingGetZeros) {
  base::ThreadPool pool(1);
  const kernels::Compute compute = {&kernels::best(), &pool};
  for (const std::size_t tokens : {0, 30}) {
    const Scene scene = {{1, 1, 64}, 2, 30, {{0, 0}, {7, 7}, {tokens, tokens / 2}}};
    auto cache = make_cache(scene.shape, "e8-q10", 30);
    std::vector<float> k = random_floats(30 * 64, 1), v = random_floats(30 * 64, 2);
    ASSERT_TRUE(append_rows(*cache, compute, 0, k, v, 0, tokens).ok());
    std::vector<float> queries = random_floats(3 * 128, 40);
    for (const float x : attend(*cache, scene, compute, queries)) EXPECT_EQ(x, 0.0f);
  }
}

TEST(Attend, OneVisibleRowIsReturnedAsItIsStored) {
  base::ThreadPool pool(1);
  const kernels::Compute compute = {&kernels::best(), &pool};
  const Scene scene = {{1, 2, 64}, 2, 5, {{3, 4}}};
  auto cache = filled_cache(scene, "bf16", compute);
  std::vector<float> queries = random_floats(256, 41), row(64);
  const std::vector<float> out = attend(*cache, scene, compute, queries);
  for (std::size_t head = 0; head < 4; ++head) {
    cache->read_row(compute, 0, head / 2, true, 3, row);
    for (std::size_t d = 0; d < 64; ++d) EXPECT_EQ(out[head * 64 + d], row[d]);
  }
}

}  // namespace
}  // namespace kakeya::kv
