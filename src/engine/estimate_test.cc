// Against what loaded models and real caches hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kakeya/estimate.h>

#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

using ::testing::HasSubstr;

TEST(Estimate, KnowsALoadedPairFromItsHeaders) {
  EngineOptions options;
  options.draft = "tiny";
  options.threads = 1;
  const auto engine = test::take(Engine::open(options));
  const auto compare = [](const ModelInfo& found, const ModelInfo& loaded) {
    EXPECT_EQ(found.id, loaded.id);
    EXPECT_EQ(found.path, loaded.path);
    EXPECT_EQ(found.dtype, loaded.dtype);
    EXPECT_EQ(found.architecture, loaded.architecture);
    EXPECT_EQ(found.parameters, loaded.parameters);
    EXPECT_EQ(found.weight_bytes, loaded.weight_bytes);
    EXPECT_EQ(found.layers, loaded.layers);
    EXPECT_EQ(found.kv_heads, loaded.kv_heads);
    EXPECT_EQ(found.head_dim, loaded.head_dim);
    EXPECT_EQ(found.max_position_embeddings, loaded.max_position_embeddings);
    EXPECT_EQ(found.block_size, loaded.block_size);
    EXPECT_EQ(found.target_layer_ids, loaded.target_layer_ids);
  };
  compare(test::take(summarize_model("tiny", ModelRole::kTarget, "")).info, engine->target());
  compare(test::take(summarize_model("tiny", ModelRole::kDraft, "")).info, *engine->draft());
}

TEST(Estimate, CacheBytesAreThoseOfAFilledCache) {
  EngineOptions options;
  options.draft = "tiny";
  options.threads = 1;
  const auto engine = test::take(Engine::open(options));
  const auto target = test::take(summarize_model("tiny", ModelRole::kTarget, ""));
  const auto draft = test::take(summarize_model("tiny", ModelRole::kDraft, ""));
  for (const char* channel : {"bf16", "e8-q38", "e8-q10", "q4_0", "tq3"}) {
    for (const int boundary : {0, 1}) {
      SessionOptions session_options;
      session_options.kv = channel;
      session_options.boundary = boundary;
      const auto session = test::take(engine->new_session(session_options));
      const std::vector<Token> prompt(150, 5);
      test::take(session->generate(prompt, test::greedy(1)));
      MemoryQuestion question{channel, "bf16", boundary, 150};
      const MemoryNeed need = test::take(estimate_memory(target, &draft, question));
      const MemoryLedger ledger = session->ledger();
      EXPECT_EQ(need.kv, ledger.target.codes_bytes) << channel << boundary;
    }
  }
}

TEST(Estimate, FingerprintsTellModelsApart) {
  const auto target = test::take(model_fingerprint("tiny", ModelRole::kTarget, ""));
  EXPECT_EQ(target, test::take(model_fingerprint("tiny", ModelRole::kTarget, "")));
  EXPECT_NE(target, test::take(model_fingerprint("tiny", ModelRole::kDraft, "")));
  EXPECT_EQ(target.size(), 64u);
}

TEST(Estimate, RefusesWhatCannotBe) {
  EXPECT_EQ(summarize_model("/no/model", ModelRole::kTarget, "").error().code, ErrorCode::kNotFound);
  const auto target = test::take(summarize_model("random:qwen3-8b:q4_0", ModelRole::kTarget, ""));
  EXPECT_TRUE(target.info.random_weights);
  EXPECT_EQ(target.info.parameters, 8190735360u);  // published: Qwen3-8B
  MemoryQuestion question{"e9-q1", "bf16", 0, 10};
  EXPECT_THAT(estimate_memory(target, nullptr, question).error().message, HasSubstr("e9-q1"));
  question = {"bf16", "bf16", -1, 10};
  EXPECT_THAT(estimate_memory(target, nullptr, question).error().message, HasSubstr("boundary"));
  EXPECT_THAT(summarize_model("random:qwen3-8b-dflash:q4_0", ModelRole::kTarget, "").error().message,
              HasSubstr("expected a target"));
}

}  // namespace
}  // namespace kakeya::engine
