// The verbs of the cache under every channel: lengths, errors, rewind = never appended, counters.
#include "kv/cache.h"

#include <gtest/gtest.h>

#include <limits>

#include "kv/test_same.h"

namespace kakeya::kv {
namespace {

base::ThreadPool& pool() {
  static base::ThreadPool two(2);
  return two;
}
kernels::Compute compute() { return {&kernels::best(), &pool()}; }

void expect_same(PackedCache& a, PackedCache& b) { expect_same(a, b, compute()); }

class EveryCacheChannel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cache, EveryCacheChannel, testing::ValuesIn(all_channels()), test_name);

TEST_P(EveryCacheChannel, AppendedThenRewoundIsAsNeverAppended) {
  const KvShape shape = {2, 2, 64};
  for (const std::size_t kept : {0, 1, 63, 64, 65, 130}) {
    auto rewound = make_cache(shape, GetParam(), 400), plain = make_cache(shape, GetParam(), 400);
    std::vector<float> k = cache_rows(200, 2, 64, 1), v = cache_rows(200, 2, 64, 2);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      ASSERT_TRUE(append_rows(*plain, compute(), layer, k, v, 0, kept).ok());
      ASSERT_TRUE(append_rows(*rewound, compute(), layer, k, v, 0, kept).ok());
    }
    rewound->commit(kept);
    for (const std::size_t extra : {1, 16, 70}) {
      for (std::size_t layer = 0; layer < 2; ++layer) {
        ASSERT_TRUE(append_rows(*rewound, compute(), layer, k, v, kept, kept + extra).ok());
      }
      rewound->rewind_to(kept);
      expect_same(*rewound, *plain);
    }
    // And what is appended afterwards is the same again.
    for (PackedCache* cache : {rewound.get(), plain.get()}) {
      for (std::size_t layer = 0; layer < 2; ++layer) {
        ASSERT_TRUE(append_rows(*cache, compute(), layer, k, v, 150, 160).ok());
      }
    }
    expect_same(*rewound, *plain);
  }
}

TEST_P(EveryCacheChannel, RepeatedRowsAreAsAppendedAgain) {
  const KvShape shape = {2, 2, 64};
  std::vector<float> k = cache_rows(70, 2, 64, 5), v = cache_rows(70, 2, 64, 6);
  for (const std::size_t held : {1, 7, 64, 70}) {
    auto repeated = make_cache(shape, GetParam(), 400), appended = make_cache(shape, GetParam(), 400);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      ASSERT_TRUE(append_rows(*repeated, compute(), layer, k, v, 0, held).ok());
      for (std::size_t t = 0; t < 333; ++t) {
        ASSERT_TRUE(append_rows(*appended, compute(), layer, k, v, t % 150 % held, t % 150 % held + 1).ok());
      }
    }
    ASSERT_TRUE(repeated->repeat_rows(compute(), 150).ok());
    ASSERT_TRUE(repeated->repeat_rows(compute(), 333).ok());
    expect_same(*repeated, *appended);
    EXPECT_FALSE(repeated->repeat_rows(compute(), 401).ok());
    for (PackedCache* cache : {repeated.get(), appended.get()}) cache->rewind_to(held + 3);
    expect_same(*repeated, *appended);
  }
}

// Random verbs against a list of row indices: after every step the cache equals one filled afresh.
TEST_P(EveryCacheChannel, AnySequenceOfVerbsEqualsAFreshCacheOfTheSurvivors) {
  const KvShape shape = {2, 2, 64};
  std::mt19937 random(7);
  std::vector<float> k = cache_rows(300, 2, 64, 3), v = cache_rows(300, 2, 64, 4);
  auto cache = make_cache(shape, GetParam(), 250);
  std::vector<std::size_t> held;
  std::size_t committed = 0;
  for (int step = 0; step < 60; ++step) {
    switch (random() % 6) {
      case 0:
      case 1:
      case 2: {
        const std::size_t n = random() % 20, first = random() % 280;
        for (std::size_t layer = 0; layer < 2; ++layer) {
          const Status status = append_rows(*cache, compute(), layer, k, v, first, first + n);
          ASSERT_EQ(status.ok(), held.size() + n <= 250);
        }
        if (held.size() + n <= 250) {
          for (std::size_t i = 0; i < n; ++i) held.push_back(first + i);
        }
        break;
      }
      case 3:
        committed += random() % (held.size() - committed + 1);
        cache->commit(committed);
        break;
      case 4:
        held.resize(committed + random() % (held.size() - committed + 1));
        cache->rewind_to(held.size());
        break;
      case 5:
        if (random() % 4 != 0) break;
        held.resize(random() % 2 == 0 ? 0 : random() % (held.size() + 1));
        committed = std::min(committed, held.size());
        held.empty() ? cache->reset() : cache->truncate(held.size());
        break;
    }
    ASSERT_EQ(cache->length(), held.size());
    ASSERT_EQ(cache->committed(), committed);
    if (step % 10 != 9) continue;
    auto fresh = make_cache(shape, GetParam(), 250);
    for (const std::size_t row : held) {
      for (std::size_t layer = 0; layer < 2; ++layer) {
        ASSERT_TRUE(append_rows(*fresh, compute(), layer, k, v, row, row + 1).ok());
      }
    }
    expect_same(*cache, *fresh);
  }
}

TEST_P(EveryCacheChannel, ANanRowIsAnErrorAndLeavesTheLayerUnchanged) {
  const KvShape shape = {1, 2, 64};
  auto cache = make_cache(shape, GetParam(), 100), plain = make_cache(shape, GetParam(), 100);
  std::vector<float> k = cache_rows(40, 2, 64, 5), v = cache_rows(40, 2, 64, 6);
  for (PackedCache* each : {cache.get(), plain.get()}) {
    ASSERT_TRUE(append_rows(*each, compute(), 0, k, v, 0, 10).ok());
  }
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (std::vector<float>* rows : {&k, &v}) {
      const float good = (*rows)[25 * 128 + 64 + 7];
      (*rows)[25 * 128 + 64 + 7] = bad;
      const Status status = append_rows(*cache, compute(), 0, k, v, 10, 40);
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().code, ErrorCode::kNumeric);
      const std::string where = std::string(rows == &k ? "K" : "V") + " of head 1 at position 25";
      EXPECT_NE(status.error().message.find(where), std::string::npos) << status.error().message;
      (*rows)[25 * 128 + 64 + 7] = good;
      expect_same(*cache, *plain);
    }
  }
  EXPECT_EQ(cache->counters()[0].codec_fired_calls + cache->counters()[0].skip_fired_calls, 1u);
}

TEST_P(EveryCacheChannel, RowsReadBackDoNotDependOnTheThreadsOrTheSizeOfAppends) {
  const KvShape shape = {1, 3, 128};
  base::ThreadPool one(1), three(3);
  std::vector<float> k = cache_rows(90, 3, 128, 8), v = cache_rows(90, 3, 128, 9);
  auto at_once = make_cache(shape, GetParam(), 100), one_by_one = make_cache(shape, GetParam(), 100);
  ASSERT_TRUE(append_rows(*at_once, {&kernels::best(), &three}, 0, k, v, 0, 90).ok());
  for (std::size_t t = 0; t < 90; ++t) {
    ASSERT_TRUE(append_rows(*one_by_one, {&kernels::best(), &one}, 0, k, v, t, t + 1).ok());
  }
  expect_same(*at_once, *one_by_one);
}

TEST(Cache, RefusesBadOptionsByName) {
  const Channel bf16 = *parse_channel("bf16");
  const auto message = [](const KvShape& shape, const CacheOptions& options) {
    const auto cache = Cache::create(shape, options);
    EXPECT_FALSE(cache.ok());
    return cache.ok() ? "" : cache.error().message;
  };
  EXPECT_NE(message({0, 2, 64}, {bf16, 0, 10}).find("layers"), std::string::npos);
  EXPECT_NE(message({2, 2, 64}, {bf16, 0, 0}).find("max_tokens"), std::string::npos);
  EXPECT_NE(message({2, 2, 64}, {bf16, -1, 10}).find("boundary"), std::string::npos);
  EXPECT_NE(message({2, 2, 96}, {*parse_channel("e8-q38"), 0, 10}).find("96"), std::string::npos);
  EXPECT_NE(message({2, 2, 96}, {Channel{}, 0, 10}).find("channel"), std::string::npos);
}

TEST(Cache, AppendBeyondMaxTokensIsAnErrorThatNamesTheNumbers) {
  auto cache = make_cache({1, 1, 64}, "bf16", 10);
  std::vector<float> k = random_floats(64 * 64, 1), v = random_floats(64 * 64, 2);
  ASSERT_TRUE(append_rows(*cache, compute(), 0, k, v, 0, 7).ok());
  const Status status = append_rows(*cache, compute(), 0, k, v, 0, 4);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
  for (const char* part : {"layer 0", "7", "4", "10"}) {
    EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message;
  }
  EXPECT_EQ(cache->length(), 7u);
  EXPECT_TRUE(append_rows(*cache, compute(), 0, k, v, 0, 3).ok());
}

TEST(Cache, LengthIsThatOfTheShortestLayer) {
  auto cache = make_cache({3, 1, 64}, "bf16", 10);
  std::vector<float> k = random_floats(640, 1), v = random_floats(640, 2);
  ASSERT_TRUE(append_rows(*cache, compute(), 0, k, v, 0, 5).ok());
  EXPECT_EQ(cache->length(), 0u);
  ASSERT_TRUE(append_rows(*cache, compute(), 1, k, v, 0, 5).ok());
  ASSERT_TRUE(append_rows(*cache, compute(), 2, k, v, 0, 3).ok());
  EXPECT_EQ(cache->length(), 3u);
  // A forward pass that failed half-way is undone in every layer.
  cache->rewind_to(2);
  for (std::size_t layer = 0; layer < 3; ++layer) EXPECT_EQ(cache->layer_store(layer).length, 2u);
}

TEST(CacheDeathTest, RewindBelowTheCommittedLengthIsAProgrammingError) {
  auto cache = make_cache({1, 1, 64}, "bf16", 10);
  std::vector<float> k = random_floats(640, 1), v = random_floats(640, 2);
  ASSERT_TRUE(append_rows(*cache, compute(), 0, k, v, 0, 5).ok());
  EXPECT_DEATH(cache->commit(6), "internal error");
  cache->commit(3);
  EXPECT_DEATH(cache->commit(2), "internal error");
  EXPECT_DEATH(cache->rewind_to(2), "internal error");
  cache->truncate(2);
  EXPECT_EQ(cache->committed(), 2u);
  cache->reset();
  EXPECT_EQ(cache->committed(), 0u);
  EXPECT_EQ(cache->length(), 0u);
}

TEST(Cache, BoundaryKeepsTheOuterLayersInBf16) {
  const auto channels = [](std::size_t layers, int boundary) {
    auto cache = make_cache({layers, 1, 64}, "e8-q10", 10, boundary);
    std::string out;
    for (std::size_t i = 0; i < layers; ++i) out += cache->layer_channel(i) == "bf16" ? "b" : "e";
    return out;
  };
  EXPECT_EQ(channels(6, 0), "eeeeee");
  EXPECT_EQ(channels(6, 1), "beeeeb");
  EXPECT_EQ(channels(6, 2), "bbeebb");
  EXPECT_EQ(channels(6, 3), "bbbbbb");
  EXPECT_EQ(channels(6, 100), "bbbbbb");
  EXPECT_EQ(channels(5, 2), "bbebb");
}

// As the reference counts: a layer fires its codec, or skips it in the boundary; bf16 has none to fire.
TEST(Cache, CountsCallsAndVectorsPerLayer) {
  std::vector<float> k = random_floats(10 * 128, 1), v = random_floats(10 * 128, 2);
  const auto counted = [&](const char* channel, int boundary) {
    auto cache = make_cache({3, 2, 64}, channel, 100, boundary);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      EXPECT_TRUE(append_rows(*cache, compute(), layer, k, v, 0, 7).ok());
      EXPECT_TRUE(append_rows(*cache, compute(), layer, k, v, 7, 8).ok());
    }
    cache->reset();
    return cache->counters();
  };
  const auto e8 = counted("e8-q10", 1);
  for (const std::size_t layer : {0, 2}) {
    EXPECT_EQ(e8[layer].skip_fired_calls, 2u);
    EXPECT_EQ(e8[layer].skip_fired_vectors, 32u);
    EXPECT_EQ(e8[layer].codec_fired_calls, 0u);
  }
  EXPECT_EQ(e8[1].codec_fired_calls, 2u);
  EXPECT_EQ(e8[1].codec_fired_vectors, 32u);
  EXPECT_EQ(e8[1].skip_fired_calls, 0u);
  for (const LayerCounters& layer : counted("bf16", 0)) {
    EXPECT_EQ(layer.codec_fired_calls, 0u);
    EXPECT_EQ(layer.skip_fired_calls, 2u);
  }
}

}  // namespace
}  // namespace kakeya::kv
