// A row's result never depends on how many rows, in which pieces, or how many threads computed it.
// Losslessness of draft and verify stands on this, so everything here is compared bit by bit.
#include <algorithm>

#include "kernels/kernels.h"
#include "model/scratch.h"
#include "model/test_support.h"

namespace kakeya::model {
namespace {

std::vector<std::string> channel_examples() {
  std::vector<std::string> names;
  for (const kv::ChannelFamily& family : kv::channel_families()) {
    names.insert(names.end(), family.examples.begin(), family.examples.end());
  }
  return names;
}

struct Trace {
  std::vector<float> logits, taps;
};

Trace run(const Model& model, const std::string& channel, const Compute& compute, std::span<const Token> ids,
          std::size_t step) {
  const std::vector<std::size_t> tap_layers = {0, model.config().layers - 1};
  auto kv = testing::make_cache(model.kv_shape(), channel, ids.size());
  auto scratch = model.make_scratch();
  ForwardResult result;
  Trace trace;
  for (std::size_t at = 0; at < ids.size(); at += step) {
    const auto piece = ids.subspan(at, std::min(step, ids.size() - at));
    const Status status =
        model.forward(compute, {piece, kv.get(), LogitRows::kAll, tap_layers}, *scratch, result);
    EXPECT_TRUE(status.ok()) << status.error().message;
    const auto logits = result.logits(), taps = result.taps();
    trace.logits.insert(trace.logits.end(), logits.data, logits.data + logits.rows * logits.cols);
    trace.taps.insert(trace.taps.end(), taps.data, taps.data + taps.rows * taps.cols);
  }
  return trace;
}

class BatchInvariance : public ::testing::TestWithParam<std::string> {
 protected:
  static void expect_same(const Trace& a, const Trace& b) {
    EXPECT_TRUE(a.logits == b.logits) << "logits differ";
    EXPECT_TRUE(a.taps == b.taps) << "taps differ";
  }
};

TEST_P(BatchInvariance, PiecesAndThreadsChangeNoBit) {
  base::ThreadPool one(1), two(2);
  static_assert(kMaxChunkRows < 300);
  const std::size_t long_prompt = GetParam() == "bf16" ? 300 : 70;  // once is enough for chunks
  for (const auto& [name, n] : {std::pair{"dflash-target", long_prompt},
                                {"qwen3-sliding-bf16", std::size_t{30}},
                                {"qwen3-untied-bf16-sharded", std::size_t{30}}}) {
    const auto model = testing::load_model(testing::golden_dir(name));
    ASSERT_NE(model, nullptr);
    const auto ids = testing::random_tokens(n, model->config().vocab_size, 11);
    for (const kernels::Table* ops : testing::oracle_and_best()) {
      SCOPED_TRACE(std::string(name) + ", " + ops->name);
      const Trace whole = run(*model, GetParam(), {ops, &one}, ids, n);
      expect_same(run(*model, GetParam(), {ops, &two}, ids, n), whole);
      expect_same(run(*model, GetParam(), {ops, &one}, ids, 1), whole);
      expect_same(run(*model, GetParam(), {ops, &two}, ids, 8), whole);
      expect_same(run(*model, GetParam(), {ops, &two}, ids, 37), whole);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, BatchInvariance, ::testing::ValuesIn(channel_examples()),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(Forward, TheLastRowAloneHasTheLogitsOfAllRows) {
  const auto model = testing::load_model(testing::golden_dir("dflash-target"));
  ASSERT_NE(model, nullptr);
  base::ThreadPool pool(1);
  const Compute compute{&kernels::best(), &pool};
  for (const std::size_t n : {1u, 5u, 256u, 257u}) {
    const auto ids = testing::random_tokens(n, 64, 12);
    auto scratch = model->make_scratch();
    ForwardResult all, last;
    auto kv = testing::make_cache(model->kv_shape(), "bf16", n),
         kv_last = testing::make_cache(model->kv_shape(), "bf16", n);
    ASSERT_TRUE(model->forward(compute, {ids, kv.get(), LogitRows::kAll, {}}, *scratch, all).ok());
    ASSERT_TRUE(model->forward(compute, {ids, kv_last.get(), LogitRows::kLast, {}}, *scratch, last).ok());
    ASSERT_EQ(all.logits().rows, n);
    ASSERT_EQ(last.logits().rows, 1u);
    EXPECT_TRUE(std::ranges::equal(all.logits().row(n - 1), last.logits().row(0))) << n;
  }
}

// Several sequences in one pass, of different lengths, with and without logits and taps.
TEST_P(BatchInvariance, OtherSequencesInThePassChangeNoBit) {
  base::ThreadPool two(2);
  const std::vector<std::size_t> taps = {0, 1};
  for (const char* name : {"dflash-target", "qwen3-sliding-bf16"}) {
    const auto model = testing::load_model(testing::golden_dir(name));
    ASSERT_NE(model, nullptr);
    const Compute compute{&kernels::best(), &two};
    auto scratch = model->make_scratch();
    struct Sequence {
      std::vector<Token> ids;
      std::unique_ptr<kv::Cache> together, alone;
      ForwardResult shared, own;
    };
    std::vector<Sequence> sequences(3);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      sequences[i].ids = testing::random_tokens(40, model->config().vocab_size, 30 + i);
      sequences[i].together = testing::make_cache(model->kv_shape(), GetParam(), 40);
      sequences[i].alone = testing::make_cache(model->kv_shape(), GetParam(), 40);
    }
    // Rows of each sequence in three passes: prompts beside single rows beside verified blocks.
    const std::size_t rows[3][3] = {{30, 1, 8}, {1, 16, 8}, {1, 1, 1}};
    const LogitRows wanted[3][3] = {{LogitRows::kNone, LogitRows::kAll, LogitRows::kLast},
                                    {LogitRows::kLast, LogitRows::kAll, LogitRows::kNone},
                                    {LogitRows::kNone, LogitRows::kNone, LogitRows::kNone}};
    for (std::size_t pass = 0; pass < 3; ++pass) {
      std::vector<ForwardRequest> requests;
      std::vector<ForwardResult*> results;
      for (std::size_t i = 0; i < 3; ++i) {
        Sequence& sequence = sequences[i];
        const auto piece =
            std::span<const Token>(sequence.ids).subspan(sequence.together->length(), rows[pass][i]);
        requests.push_back({piece, sequence.together.get(), wanted[pass][i], taps});
        results.push_back(&sequence.shared);
        ASSERT_TRUE(model
                        ->forward(compute, {piece, sequence.alone.get(), wanted[pass][i], taps}, *scratch,
                                  sequence.own)
                        .ok());
      }
      const Status status = model->forward(compute, requests, *scratch, results);
      ASSERT_TRUE(status.ok()) << status.error().message;
      for (Sequence& sequence : sequences) {
        const auto a = sequence.shared.logits(), b = sequence.own.logits();
        ASSERT_EQ(a.rows, b.rows);
        EXPECT_TRUE(std::equal(a.data, a.data + a.rows * a.cols, b.data)) << name << ", pass " << pass;
        const auto c = sequence.shared.taps(), d = sequence.own.taps();
        ASSERT_EQ(c.rows, d.rows);
        EXPECT_TRUE(std::equal(c.data, c.data + c.rows * c.cols, d.data)) << name << ", pass " << pass;
      }
    }
  }
}

TEST(Forward, RowsAfterARewindAreAsIfNeverComputed) {
  const auto model = testing::load_model(testing::golden_dir("dflash-target"));
  ASSERT_NE(model, nullptr);
  base::ThreadPool pool(1);
  const Compute compute{&kernels::best(), &pool};
  const auto ids = testing::random_tokens(90, 64, 13), wrong = testing::random_tokens(16, 64, 14);
  for (const std::string& channel : channel_examples()) {
    const Trace plain = run(*model, channel, compute, ids, 90);
    auto kv = testing::make_cache(model->kv_shape(), channel, 120);
    auto scratch = model->make_scratch();
    ForwardResult result;
    std::vector<float> logits;
    for (std::size_t at = 0; at < ids.size(); at += 9) {
      ASSERT_TRUE(model->forward(compute, {wrong, kv.get(), LogitRows::kLast, {}}, *scratch, result).ok());
      kv->rewind_to(at);
      const auto piece = std::span<const Token>(ids).subspan(at, 9);
      ASSERT_TRUE(model->forward(compute, {piece, kv.get(), LogitRows::kAll, {}}, *scratch, result).ok());
      kv->commit(at + 9);
      logits.insert(logits.end(), result.logits().data, result.logits().data + 9 * result.vocab);
    }
    EXPECT_TRUE(logits == plain.logits) << channel;
  }
}

TEST(CountingNew, SeesAnAllocation) {
  const std::size_t before = testing::allocation_count();
  static std::unique_ptr<std::vector<int>> kept;  // visible beyond this test, so that no compiler may drop it
  kept = std::make_unique<std::vector<int>>(100);
  EXPECT_EQ(testing::allocation_count() - before, 2u);
}

TEST(Forward, AllocatesNothingOnceItHasSeenTheSizes) {
  const auto model = testing::load_model(testing::golden_dir("dflash-target"));
  const auto draft = testing::load_draft(testing::golden_dir("dflash-full"), *model);
  ASSERT_TRUE(model && draft);
  base::ThreadPool pool(2);
  const Compute compute{&kernels::best(), &pool};
  const auto ids = testing::random_tokens(8, 64, 15);
  for (const std::string& channel : channel_examples()) {
    auto kv = testing::make_cache(model->kv_shape(), channel, 64),
         draft_kv = testing::make_cache(draft->kv_shape(), channel, 64);
    auto scratch = model->make_scratch(), draft_scratch = draft->make_scratch();
    ForwardResult result, drafted;
    bool ok = true;
    const auto cycle = [&] {
      ok = ok &&
           model->forward(compute, {ids, kv.get(), LogitRows::kAll, draft->tap_layers()}, *scratch, result)
               .ok();
      kv->rewind_to(3);
      ok = ok && draft->propose(compute, 1, 8, *draft_kv, *draft_scratch, drafted).ok();
    };
    ok = model->forward(compute, {ids, kv.get(), LogitRows::kAll, draft->tap_layers()}, *scratch, result)
             .ok() &&
         draft->observe(compute, result.taps(), *draft_kv, *draft_scratch).ok();
    for (int i = 0; i < 4; ++i) cycle();  // both threads have met the buffers they may need
    const std::size_t before = testing::allocation_count();
    cycle();
    cycle();
    EXPECT_EQ(testing::allocation_count() - before, 0u) << channel;
    EXPECT_TRUE(ok) << channel;
  }
}

}  // namespace
}  // namespace kakeya::model
