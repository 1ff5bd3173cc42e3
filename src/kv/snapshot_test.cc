// Rows saved from one cache and loaded into another: the same in every respect; damaged rows: an error or
// safe.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "kv/test_same.h"

namespace kakeya::kv {
namespace {

constexpr KvShape kShape = {3, 2, 64};
constexpr std::size_t kHeld = 150;

base::ThreadPool& pool() {
  static base::ThreadPool two(2);
  return two;
}
kernels::Compute compute() { return {&kernels::best(), &pool()}; }

struct TestRows {
  std::vector<float> k = cache_rows(200, kShape.kv_heads, kShape.head_dim, 11);
  std::vector<float> v = cache_rows(200, kShape.kv_heads, kShape.head_dim, 12);
};

void append_all(PackedCache& cache, TestRows& rows, std::size_t first, std::size_t last) {
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    ASSERT_TRUE(append_rows(cache, compute(), layer, rows.k, rows.v, first, last).ok());
  }
}

std::vector<std::byte> saved(const PackedCache& cache, std::size_t length) {
  std::vector<std::byte> out;
  cache.save_rows(length, out);
  return out;
}

void expect_same_readings(PackedCache& a, PackedCache& b) {
  std::vector<float> x(kShape.head_dim), y(kShape.head_dim);
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    for (std::size_t head = 0; head < 2 * kShape.kv_heads; ++head) {
      for (std::size_t t = 0; t < a.length(); ++t) {
        a.read_row(compute(), layer, head / 2, head % 2 == 1, t, x);
        b.read_row(compute(), layer, head / 2, head % 2 == 1, t, y);
        ASSERT_EQ(0, std::memcmp(x.data(), y.data(), x.size() * sizeof(float))) << layer << " " << t;
      }
    }
  }
}

// Attention of every layer over all that is held, on the exact and, at this fast_attention_from, fast path.
void attend_everywhere(PackedCache& cache) {
  const std::size_t width = 2 * kShape.kv_heads * kShape.head_dim;
  std::vector<float> queries = random_floats(2 * width, 5), out(2 * width);
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    const std::vector<Visible> visible = {{0, cache.length()}, {cache.length() / 2, cache.length()}};
    const Status status =
        cache.attend(compute(), {layer, {queries.data(), 2, width}, visible, 0.1f, {out.data(), 2, width}});
    EXPECT_TRUE(status.ok() || status.error().code == ErrorCode::kNumeric);
  }
}

struct Case {
  std::string channel;
  int boundary = 0;
};

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const std::string& channel : all_channels()) {
    out.push_back({channel, 0});
    out.push_back({channel, 1});
  }
  return out;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return test_name({info.param.channel, info.index}) + (info.param.boundary > 0 ? "_boundary" : "");
}

class EverySnapshot : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<PackedCache> fresh(std::size_t fast_from = std::numeric_limits<std::size_t>::max()) {
    return make_cache(kShape, GetParam().channel, 220, GetParam().boundary, fast_from);
  }
};
INSTANTIATE_TEST_SUITE_P(Kv, EverySnapshot, testing::ValuesIn(cases()), case_name);

TEST_P(EverySnapshot, OfAnyPrefixGivesTheCacheThatHeldOnlyThatPrefix) {
  TestRows rows;
  auto whole = fresh();
  append_all(*whole, rows, 0, kHeld);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{65}, kHeld}) {
    auto prefix = fresh(), loaded = fresh();
    append_all(*prefix, rows, 0, length);
    append_all(*loaded, rows, 20, 90);  // what it held before is replaced
    ASSERT_TRUE(loaded->load_rows(saved(*whole, length), length).ok());
    EXPECT_EQ(loaded->length(), length);
    EXPECT_EQ(loaded->committed(), length);
    EXPECT_EQ(loaded->ledger().vectors_stored, 2 * kShape.layers * kShape.kv_heads * length);
    expect_same(*loaded, *prefix, compute());
    expect_same_readings(*loaded, *prefix);
  }
}

TEST_P(EverySnapshot, GoesOnAsTheOriginalThroughAppendRewindAndTruncate) {
  TestRows rows;
  auto original = fresh(), loaded = fresh();
  append_all(*original, rows, 0, kHeld);
  original->commit(kHeld);
  ASSERT_TRUE(loaded->load_rows(saved(*original, kHeld), kHeld).ok());
  for (PackedCache* cache : {original.get(), loaded.get()}) append_all(*cache, rows, 150, 190);
  expect_same(*loaded, *original, compute());
  for (PackedCache* cache : {original.get(), loaded.get()}) cache->rewind_to(kHeld + 3);
  expect_same(*loaded, *original, compute());
  for (PackedCache* cache : {original.get(), loaded.get()}) cache->truncate(70);
  expect_same(*loaded, *original, compute());
  for (PackedCache* cache : {original.get(), loaded.get()}) append_all(*cache, rows, 90, 170);
  expect_same(*loaded, *original, compute());
  EXPECT_EQ(saved(*loaded, 150), saved(*original, 150));
}

TEST_P(EverySnapshot, IsAppendedToWhatTheVectorHolds) {
  TestRows rows;
  auto cache = fresh();
  append_all(*cache, rows, 0, 70);
  const std::vector<std::byte> alone = saved(*cache, 70);
  std::vector<std::byte> out = {std::byte{1}, std::byte{2}};
  cache->save_rows(70, out);
  ASSERT_EQ(out.size(), 2 + alone.size());
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), out.begin() + 2));
}

TEST_P(EverySnapshot, CutAnywhereOrTooLongIsAnErrorAndLeavesTheCacheEmpty) {
  TestRows rows;
  auto cache = fresh(), loaded = fresh();
  append_all(*cache, rows, 0, 65);
  const std::vector<std::byte> good = saved(*cache, 65);
  std::vector<std::size_t> sizes = {0, 1, good.size() - 1, good.size() + 1, good.size() + 4096};
  for (std::size_t size = 37; size < good.size(); size += 997) sizes.push_back(size);
  for (const std::size_t size : sizes) {
    append_all(*loaded, rows, 0, 10);
    std::vector<std::byte> bytes = good;
    bytes.resize(size);
    const Status status = loaded->load_rows(bytes, 65);
    ASSERT_FALSE(status.ok()) << size;
    EXPECT_EQ(status.error().code, ErrorCode::kCorruptData);
    EXPECT_NE(status.error().message.find("layer "), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("expected "), std::string::npos) << status.error().message;
    EXPECT_EQ(loaded->length(), 0u);
    EXPECT_EQ(loaded->committed(), 0u);
    EXPECT_EQ(loaded->ledger().vectors_stored, 0u);
  }
  EXPECT_FALSE(loaded->load_rows(good, 64).ok());
  EXPECT_FALSE(loaded->load_rows(good, 66).ok());
  EXPECT_TRUE(loaded->load_rows(good, 65).ok());
}

// Whatever one byte becomes: refused, or a cache that holds exactly these bytes and can be used.
TEST_P(EverySnapshot, WithAnyByteChangedIsRefusedOrSafe) {
  TestRows rows;
  auto source = fresh(), exact = fresh(), fast = fresh(0);
  append_all(*source, rows, 0, 66);
  const std::vector<std::byte> good = saved(*source, 66);
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::byte> bytes = good;
    for (unsigned n = 1 + random() % 3; n > 0; --n) {
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1 + random() % 255);
    }
    for (PackedCache* cache : {exact.get(), fast.get()}) {
      if (!cache->load_rows(bytes, 66).ok()) {
        EXPECT_EQ(cache->length(), 0u);
        continue;
      }
      EXPECT_EQ(saved(*cache, 66), bytes);
      attend_everywhere(*cache);
      cache->truncate(30);
      append_all(*cache, rows, 0, 8);
    }
  }
}

TEST_P(EverySnapshot, LeavesTheCodecCountersAsTheyWere) {
  TestRows rows;
  auto source = fresh(), loaded = fresh();
  append_all(*source, rows, 0, 80);
  append_all(*loaded, rows, 0, 5);
  const std::vector<LayerCounters> before = loaded->counters();
  ASSERT_TRUE(loaded->load_rows(saved(*source, 80), 80).ok());
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    EXPECT_EQ(loaded->counters()[layer].codec_fired_vectors, before[layer].codec_fired_vectors);
    EXPECT_EQ(loaded->counters()[layer].skip_fired_vectors, before[layer].skip_fired_vectors);
  }
}

TEST(Snapshot, BeyondMaxTokensIsAnErrorThatNamesTheNumbers) {
  TestRows rows;
  auto source = make_cache(kShape, "e8-q7", 100), small = make_cache(kShape, "e8-q7", 50);
  append_all(*source, rows, 0, 51);
  const Status status = small->load_rows(saved(*source, 51), 51);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(status.error().message.find("51"), std::string::npos);
  EXPECT_NE(status.error().message.find("50"), std::string::npos);
  EXPECT_TRUE(small->load_rows(saved(*source, 50), 50).ok());
}

TEST(Snapshot, WhoseLengthOverflowsItsSizeIsRefused) {
  auto cache = make_cache({1, 1, 64}, "bf16", std::numeric_limits<std::size_t>::max());
  const std::vector<std::byte> bytes(256);
  for (const std::size_t length :
       {std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max() / 128 + 2}) {
    const Status status = cache->load_rows(bytes, length);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kCorruptData);
  }
}

// The layout as docs/formats/session.md has it, written out by hand: bf16 rows of two values.
TEST(Snapshot, BytesAreKThenVHeadByHeadTokenByToken) {
  auto cache = make_cache({1, 2, 2}, "bf16", 10);
  std::vector<float> k = {1, 2, 3, 4, /* token 1 */ -1, -2, -3, -4};
  std::vector<float> v = {0.5f, 0, 0, 0, /* token 1 */ 0, 0, 0, -0.5f};
  ASSERT_TRUE(append_rows(*cache, compute(), 0, k, v, 0, 2).ok());
  const unsigned char expected[] = {
      0x80, 0x3f, 0x00, 0x40, 0x80, 0xbf, 0x00, 0xc0,  // K head 0: 1 2, -1 -2
      0x40, 0x40, 0x80, 0x40, 0x40, 0xc0, 0x80, 0xc0,  // K head 1: 3 4, -3 -4
      0x00, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // V head 0: 0.5 0, 0 0
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xbf,  // V head 1: 0 0, 0 -0.5
  };
  const std::vector<std::byte> bytes = saved(*cache, 2);
  ASSERT_EQ(bytes.size(), sizeof expected);
  EXPECT_EQ(0, std::memcmp(bytes.data(), expected, sizeof expected));
}

// Rows with two equal spikes after the rotation do not fit their slots at odd ranges (docs/formats/kv-e8.md).
TEST(Snapshot, WideRowsThatPointElsewhereAreRefused) {
  const KvShape shape = {1, 1, 64};
  auto cache = make_cache(shape, "e8-q7", 100), loaded = make_cache(shape, "e8-q7", 100);
  std::vector<float> k = cache_rows(90, 1, 64, 1), v = cache_rows(90, 1, 64, 2);
  ASSERT_TRUE(append_rows(*cache, compute(), 0, k, v, 0, 90).ok());
  const RowStore& store = cache->layer_store(0).k;
  ASSERT_GT(store.side[0].size(), 128u) << "these rows were made to be wide";
  const std::vector<std::byte> good = saved(*cache, 90);
  const std::size_t row_bytes = cache->layer_store(0).codec->row_bytes();
  std::size_t wide = 0;
  for (std::size_t t = 0; t < 90; ++t) {
    std::vector<std::byte> bytes = good;
    std::byte* row = bytes.data() + t * row_bytes;
    if ((row[1] & std::byte{0x80}) == std::byte{}) {  // made wide, it wants points that are not there
      row[1] |= std::byte{0x80};
      EXPECT_FALSE(loaded->load_rows(bytes, 90).ok()) << t;
      continue;
    }
    ++wide;
    for (std::size_t i = 0; i < 8; ++i) {  // every byte of the offset
      row[4 + i] ^= std::byte{0x80};
      const Status status = loaded->load_rows(bytes, 90);
      ASSERT_FALSE(status.ok()) << t;
      EXPECT_NE(status.error().message.find("layer 0, K of head 0, position " + std::to_string(t)),
                std::string::npos)
          << status.error().message;
      row[4 + i] ^= std::byte{0x80};
    }
    row[1] &= std::byte{0x7f};  // no longer wide: its points belong to nobody
    EXPECT_FALSE(loaded->load_rows(bytes, 90).ok()) << t;
  }
  EXPECT_EQ(wide, store.side[0].size() / 128);
}

}  // namespace
}  // namespace kakeya::kv
