// The ledger against the heap itself: what it says is what the process holds, and compressed channels hold
// less.
#include <gtest/gtest.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "kv/test_rows.h"

namespace kakeya::kv {
namespace {

constexpr KvShape kShape = {4, 4, 128};
constexpr std::size_t kTokens = 1024;
// Malloc's own bookkeeping: 16 bytes a page of rows, the lists of pages.
constexpr double kHeapOverhead = 0.01;

base::ThreadPool& pool() {
  static base::ThreadPool one(1);
  return one;
}
kernels::Compute compute() { return {&kernels::best(), &pool()}; }

// Bytes the program holds from malloc; 0 where that cannot be asked (sanitizers, other C libraries).
std::size_t heap_bytes() {
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

void fill(PackedCache& cache, std::size_t tokens) {
  const std::size_t width = kShape.kv_heads * kShape.head_dim;
  std::vector<float> k = random_floats(64 * width, 1), v = random_floats(64 * width, 2);
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    for (std::size_t t = 0; t < tokens; t += 64) {
      ASSERT_TRUE(append_rows(cache, compute(), layer, k, v, 0, std::min<std::size_t>(64, tokens - t)).ok());
    }
  }
}

void attend_once(PackedCache& cache) {
  const std::size_t width = 2 * kShape.kv_heads * kShape.head_dim;
  std::vector<float> queries = random_floats(4 * width, 3), out(4 * width);
  const std::vector<Visible> visible(4, {0, cache.length()});
  ASSERT_TRUE(
      cache.attend(compute(), {0, {queries.data(), 4, width}, visible, 0.1f, {out.data(), 4, width}}).ok());
}

std::size_t held(const Ledger& ledger) {
  return ledger.codes_bytes + ledger.side_bytes + ledger.scratch_bytes;
}

class EveryLedgerChannel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Ledger, EveryLedgerChannel, testing::ValuesIn(all_channels()), test_name);

TEST_P(EveryLedgerChannel, SaysWhatTheHeapHolds) {
  if (heap_bytes() == 0) GTEST_SKIP() << "mallinfo2 does not answer in this build";
  const std::size_t before = heap_bytes();
  auto cache = make_cache(kShape, GetParam(), kTokens);
  fill(*cache, kTokens);
  attend_once(*cache);
  const auto grown = static_cast<double>(heap_bytes() - before);
  const auto told = static_cast<double>(held(cache->ledger()));
  EXPECT_GE(grown, told);
  EXPECT_LE(grown, told * (1 + kHeapOverhead));
}

TEST_P(EveryLedgerChannel, ACacheIsSmallerThanBf16ByTheRatioOfItsRows) {
  const auto codec = make_codec(*parse_channel(GetParam()), kShape.head_dim);
  const auto heap_of = [](const std::string& channel, Ledger* ledger) {
    const std::size_t before = heap_bytes();
    auto cache = make_cache(kShape, channel, kTokens);
    fill(*cache, kTokens);
    *ledger = cache->ledger();
    return static_cast<double>(heap_bytes() - before);
  };
  Ledger own, bf16;
  const double own_heap = heap_of(GetParam(), &own), bf16_heap = heap_of("bf16", &bf16);
  const double ratio = static_cast<double>((*codec)->row_bytes()) / (2.0 * kShape.head_dim);
  EXPECT_EQ(static_cast<double>(own.codes_bytes), ratio * static_cast<double>(bf16.codes_bytes));
  EXPECT_EQ(own.side_bytes, 0u);
  EXPECT_EQ(own.bits_allocated, 8.0 * static_cast<double>((*codec)->row_bytes()));
  EXPECT_EQ(own.bits_formula, (*codec)->formula_bits());
  EXPECT_GE(own.bits_allocated, own.bits_formula);
  if (bf16_heap > 0) {
    EXPECT_NEAR(own_heap / bf16_heap, ratio, kHeapOverhead);
  }
}

TEST(Ledger, CountsVectorsAndGrowsByWholePages) {
  auto cache = make_cache(kShape, "e8-q10", kTokens);
  EXPECT_EQ(cache->ledger().codes_bytes, 0u);
  EXPECT_EQ(cache->ledger().bits_allocated, 0.0);
  fill(*cache, 1);
  const Ledger one = cache->ledger();
  EXPECT_EQ(one.vectors_stored, 2 * 4 * 4u);
  EXPECT_EQ(one.vectors_capacity, 2 * 4 * 4 * kPageTokens);
  cache->reset();
  fill(*cache, kPageTokens);
  EXPECT_EQ(cache->ledger().codes_bytes, one.codes_bytes);
  cache->reset();
  fill(*cache, kPageTokens + 1);
  EXPECT_EQ(cache->ledger().codes_bytes, 2 * one.codes_bytes);
}

TEST(Ledger, ScratchAndPeakCountEverythingEverHeld) {
  auto cache = make_cache(kShape, "e8-q10", kTokens);
  fill(*cache, 200);
  const Ledger before = cache->ledger();
  EXPECT_EQ(before.scratch_bytes, 0u);
  EXPECT_EQ(before.peak_bytes, held(before));
  attend_once(*cache);
  const Ledger after = cache->ledger();
  EXPECT_GT(after.scratch_bytes, 0u);
  EXPECT_EQ(after.peak_bytes, held(after));
  cache->reset();
  EXPECT_EQ(held(cache->ledger()), held(after));  // pages are kept
  EXPECT_EQ(cache->ledger().vectors_stored, 0u);
}

TEST(Ledger, WideRowsAreCountedAsSideBytes) {
  auto cache = make_cache({1, 2, 64}, "e8-q7", 300);
  std::vector<float> k = cache_rows(200, 2, 64, 5), v = cache_rows(200, 2, 64, 6);
  ASSERT_TRUE(append_rows(*cache, compute(), 0, k, v, 0, 200).ok());
  const Ledger full = cache->ledger();
  EXPECT_GE(full.side_bytes, 128u);
  EXPECT_EQ(full.peak_bytes, held(full));
  cache->reset();
  for (const SideRows& side : cache->layer_store(0).k.side) EXPECT_TRUE(side.empty());
}

TEST(Ledger, BitsAreThoseOfTheLayersThatUseTheChannel) {
  auto some = make_cache(kShape, "e8-q7", kTokens, 1);
  fill(*some, 64);
  EXPECT_EQ(some->ledger().bits_allocated, 544.0);
  auto none = make_cache(kShape, "e8-q7", kTokens, 2);
  fill(*none, 64);
  EXPECT_EQ(none->ledger().bits_allocated, 0.0);
  EXPECT_EQ(none->ledger().codes_bytes, 2 * 4 * 4 * 64 * 256u);
}

}  // namespace
}  // namespace kakeya::kv
