// The parts of the speed benchmark on the embedded pair: depths, and that nothing is left behind.
#include "engine/speed_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/page_buffer.h"
#include "engine/machine.h"
#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

using ::testing::HasSubstr;

struct Probe {
  explicit Probe(const std::string& draft = "tiny", const std::string& kv = "e8-q10") {
    EngineOptions options;
    options.draft = draft;
    options.threads = 2;
    engine = test::take(Engine::open(options));
    SessionOptions session;
    session.kv = kv;
    probe = test::take(engine->new_speed_probe(session));
  }
  const SpeedProbeImpl& inside() const { return static_cast<const SpeedProbeImpl&>(*probe); }
  std::unique_ptr<Engine> engine;
  std::unique_ptr<SpeedProbe> probe;
};

// What a cache holds, as a reader sees it.
std::vector<float> contents(const kv::Cache& cache) {
  const kernels::Compute compute = {kernels::find("scalar"), nullptr};
  const kv::KvShape& shape = cache.shape();
  std::vector<float> out, row(shape.head_dim);
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    for (std::size_t head = 0; head < shape.kv_heads; ++head) {
      for (std::size_t t = 0; t < cache.length(); ++t) {
        for (const bool value : {false, true}) {
          cache.read_row(compute, layer, head, value, t, row);
          out.insert(out.end(), row.begin(), row.end());
        }
      }
    }
  }
  return out;
}

TEST(SpeedProbe, FillsBothCachesToTheDepth) {
  Probe p;
  EXPECT_EQ(p.probe->depth(), 0u);
  for (const std::size_t depth : {20, 700, 300, 7, 1024, 0}) {
    ASSERT_TRUE(p.probe->set_depth(depth).ok());
    EXPECT_EQ(p.probe->depth(), depth);
    EXPECT_EQ(p.inside().target_cache().length(), depth);
    EXPECT_EQ(p.inside().draft_cache()->length(), depth);
  }
}

TEST(SpeedProbe, RepeatsTheFirst256RowsBeyondThem) {
  Probe p;
  ASSERT_TRUE(p.probe->set_depth(600).ok());
  for (const kv::Cache* cache : {&p.inside().target_cache(), p.inside().draft_cache()}) {
    std::vector<float> row(cache->shape().head_dim), first(row);
    const kernels::Compute compute = {kernels::find("scalar"), nullptr};
    for (const std::size_t t : {256, 400, 511, 512, 599}) {
      cache->read_row(compute, 0, 0, false, t, row);
      cache->read_row(compute, 0, 0, false, t % 256, first);
      EXPECT_EQ(row, first) << t;
    }
  }
}

TEST(SpeedProbe, LeavesTheCachesAsTheyWere) {
  Probe p;
  ASSERT_TRUE(p.probe->set_depth(300).ok());
  const auto target = contents(p.inside().target_cache()), draft = contents(*p.inside().draft_cache());
  const std::uint32_t accepted[] = {0, 7, 3};
  const Elapsed times[] = {test::take(p.probe->pass(1, PassLogits::kLast)),
                           test::take(p.probe->pass(16, PassLogits::kAll)),
                           test::take(p.probe->pass(5, PassLogits::kNone)),
                           test::take(p.probe->prompt(300, 0)),
                           test::take(p.probe->prompt(30, 4)),
                           test::take(p.probe->decode(5)),
                           test::take(p.probe->observe(1)),
                           test::take(p.probe->observe(16)),
                           test::take(p.probe->propose(0)),
                           test::take(p.probe->propose(5)),
                           test::take(p.probe->given_cycles(8, 8, accepted))};
  for (const Elapsed& elapsed : times) {
    EXPECT_GT(elapsed.wall_ns, 0u);
    EXPECT_GT(elapsed.cpu_ns, 0u);
  }
  EXPECT_EQ(p.probe->depth(), 300u);
  EXPECT_EQ(p.inside().target_cache().length(), 300u);
  EXPECT_EQ(p.inside().draft_cache()->length(), 300u);
  EXPECT_EQ(contents(p.inside().target_cache()), target);
  EXPECT_EQ(contents(*p.inside().draft_cache()), draft);
}

TEST(SpeedProbe, RefusesWhatCannotBeAndGoesOn) {
  Probe p, plain("");
  const auto refused = [](const auto& result, const char* words) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(result.error().message, HasSubstr(words));
  };
  refused(p.probe->set_depth(1025), "found 1025, expected at most 1024");
  refused(p.probe->observe(257), "257 rows, expected at most 256");
  ASSERT_TRUE(p.probe->set_depth(1020).ok());
  refused(p.probe->pass(5, PassLogits::kAll), "5 rows at depth 1020, expected at most 1024 together");
  refused(p.probe->pass(0, PassLogits::kAll), "0 rows");
  refused(p.probe->prompt(0, 4), "0 tokens");
  refused(p.probe->decode(5), "1020");
  refused(p.probe->propose(1), "at least 2");
  const std::uint32_t accepted[] = {4};
  refused(p.probe->given_cycles(4, 4, accepted), "less than the width, 4");
  EXPECT_TRUE(p.probe->pass(4, PassLogits::kAll).ok());
  refused(plain.probe->observe(1), "draft");
  refused(plain.probe->propose(0), "draft");
  refused(plain.probe->given_cycles(4, 4, accepted), "draft");
  EXPECT_TRUE(plain.probe->pass(4, PassLogits::kAll).ok());
}

// By hand from config.json of models/tiny and the sizes in docs/formats: E8 with Q = 10 takes 76 bytes a
// vector of 128 values.
TEST(SpeedProbe, CountsWhatAPassReadsAndMultiplies) {
  Probe p;
  const auto config = test::read_json("models/tiny/target/config.json");
  const std::uint64_t layers = config["num_hidden_layers"], hidden = config["hidden_size"],
                      q = config["num_attention_heads"].get<std::uint64_t>() * 128,
                      kv_heads = config["num_key_value_heads"], inner = config["intermediate_size"],
                      vocab = config["vocab_size"];
  ASSERT_TRUE(config["tie_word_embeddings"].get<bool>());
  const std::uint64_t kv = 2 * hidden * kv_heads * 128, other = 2 * hidden * q + 3 * hidden * inner;
  const PassCost all = p.probe->cost(100, 3, PassLogits::kAll),
                 none = p.probe->cost(100, 3, PassLogits::kNone);
  EXPECT_EQ(all.kv_bytes, 103 * layers * 2 * kv_heads * 76);
  EXPECT_EQ(all.matrix_ops, 2 * 3 * (layers * (kv + other) + vocab * hidden));
  EXPECT_EQ(none.matrix_ops, 2 * 3 * (layers * (kv + other) - other));
  EXPECT_EQ(all.weight_bytes - none.weight_bytes, 2 * vocab * hidden);  // bf16
  EXPECT_EQ(all.weight_bytes, p.engine->target().weight_bytes);
}

TEST(MachineLimits, AreMeasuredWithTheBufferThatWasAskedFor) {
  Probe p("");
  const MemoryLimit memory = test::take(p.probe->memory_limit(std::uint64_t{128} << 20));
  EXPECT_EQ(memory.buffer_bytes, std::uint64_t{128} << 20);
  EXPECT_GT(memory.gbs, 0.05);
  const Int8Limit int8 = p.probe->int8_limit();
  const std::string isa = p.engine->isa();
  EXPECT_EQ(int8.instruction.empty(), isa == "scalar" || isa == "sse4");
  EXPECT_EQ(int8.gops > 0.1, !int8.instruction.empty());
}

TEST(FreeMemory, ThatIsTooLittleIsNamedBesideWhatIsNeeded) {
  constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
  EXPECT_TRUE(check_free_memory("depth 9", 5 * kMib, 5 * kMib).ok());
  EXPECT_TRUE(check_free_memory("depth 9", 5 * kMib, 0).ok());
  const Status status = check_free_memory("depth 9", 7 * kMib, 5 * kMib);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(status.error().message, "depth 9: it needs 7 MiB more, found 5 MiB of free memory");
}

TEST(ProcessMemory, GrowsWithWhatIsTouched) {
#ifndef __linux__
  GTEST_SKIP() << "read from /proc";
#endif
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  ASSERT_TRUE(reset_peak_memory());
  const ProcessMemory before = process_memory();
  {
    const auto buffer = test::take(base::PageBuffer::allocate(kBytes));
    std::memset(buffer.bytes().data(), 1, kBytes);
  }
  EXPECT_GE(process_memory().peak_rss_bytes, before.rss_bytes + kBytes * 9 / 10);
  ASSERT_TRUE(reset_peak_memory());
  EXPECT_LT(process_memory().peak_rss_bytes, before.rss_bytes + kBytes / 2);
  EXPECT_GT(process_memory().available_bytes, 0u);
}

}  // namespace
}  // namespace kakeya::engine
