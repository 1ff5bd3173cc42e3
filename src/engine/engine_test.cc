// Opening, contexts, sessions without memory of earlier prompts, events, cancelling, ledger, golden lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/sha256.h"
#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST(Golden, IdsAndAcceptanceListsOfTheEmbeddedPair) {  // from PyTorch in float32
  const auto golden = test::read_json("models/tiny/golden.json");
  EngineOptions options;
  options.draft = "tiny";
  options.threads = 2;
  const auto engine = test::take(Engine::open(options));
  const auto session = test::session(*engine, "f32", "f32");
  for (const auto& entry : golden["cases"]) {
    if (entry["smallest_gap"].get<double>() < 1e-3) continue;  // a near tie may fall either way elsewhere
    const auto prompt = entry["prompt_ids"].get<std::vector<Token>>();
    const auto out = test::take(session->generate(prompt, test::greedy(128)));
    std::vector<int> lengths;
    for (const Cycle& cycle : out.cycles) lengths.push_back(static_cast<int>(cycle.length()));
    EXPECT_EQ(out.ids, entry["dflash_ids"].get<std::vector<Token>>());
    EXPECT_EQ(lengths, entry["acceptance_lengths"].get<std::vector<int>>());
    test::expect_accounts(out, 8);
  }
}

TEST(Golden, TextOfTheEmbeddedPair) {
  const auto golden = test::read_json("models/tiny/golden.json")["cases"][0];
  EngineOptions options;
  const auto engine = test::take(Engine::open(options));
  const auto session = test::session(*engine, "f32");
  const auto out =
      test::take(session->generate(golden["prompt_ids"].get<std::vector<Token>>(), test::greedy(128)));
  std::string text = golden["text"];
  const std::string stop = "<|im_end|>";
  if (text.ends_with(stop)) text.resize(text.size() - stop.size());
  EXPECT_EQ(out.text, text);
  EXPECT_EQ(out.finish, FinishReason::kStop);
}

TEST(Session, StartsOverWithEveryPrompt) {
  for (const auto& pair : {test::tiny_pair(), test::random_pair("dflash-sliding")}) {
    const auto engine = test::open(pair, 2);
    const auto session = test::session(*engine, "e8-q38", "q8_0");
    const auto prompts = pair.prompts(2);
    const auto first = test::take(session->generate(prompts[0], test::greedy(24)));
    test::take(session->generate(prompts[1], test::greedy(30, 4)));
    const std::size_t none[] = {0};
    ForcedRequest request;
    request.prompt = prompts[1];
    request.reference = prompts[0];
    request.anchors = none;
    test::take(session->forced_reference(request));
    test::take(session->logits(prompts[1], LogitSelection::kAll, true));
    test::take(session->perplexity(prompts[1], 10));
    const auto again = test::take(session->generate(prompts[0], test::greedy(24)));
    EXPECT_EQ(again.ids, first.ids);
    ASSERT_EQ(again.cycles.size(), first.cycles.size());
    for (std::size_t i = 0; i < first.cycles.size(); ++i)
      EXPECT_EQ(again.cycles[i].accepted, first.cycles[i].accepted);
  }
}

TEST(Session, GoesOnAfterAnError) {
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 1);
  const auto session = test::session(*engine, "bf16");
  const auto prompt = pair.prompts(1)[0];
  const auto first = test::take(session->generate(prompt, test::greedy(20)));
  ASSERT_FALSE(session->generate(std::vector<Token>{1, 64}, test::greedy(20)).ok());
  EXPECT_EQ(test::take(session->generate(prompt, test::greedy(20))).ids, first.ids);
}

TEST(Session, NamesBothNumbersWhenTheContextIsTooSmall) {
  const auto engine = test::open(test::random_pair("dflash-full"), 1);  // context 512
  SessionOptions options;
  options.max_tokens = 513;
  const auto refused = engine->new_session(options);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("513"), HasSubstr("512")));
  options.max_tokens = 30;
  const auto session = test::take(engine->new_session(options));
  const std::vector<Token> prompt(20, 3);
  const auto out = session->generate(prompt, test::greedy(11));
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kContextOverflow);
  EXPECT_THAT(out.error().message, AllOf(HasSubstr("20 prompt tokens and 11 output"), HasSubstr("30")));
  EXPECT_EQ(test::take(session->generate(prompt, test::greedy(10))).ids.size(), 10u);
}

TEST(Session, FillsTheModelsWholeContextAndNoMore) {
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 1);
  const auto session = test::session(*engine, "e8-q10");
  const std::vector<Token> prompt(480, 5);
  const auto out = test::take(session->generate(prompt, test::greedy(32)));
  EXPECT_EQ(out.ids.size(), 32u);
  EXPECT_EQ(out.ids, test::take(session->generate(prompt, test::plain(test::greedy(32)))).ids);
  EXPECT_FALSE(session->generate(prompt, test::greedy(33)).ok());
}

TEST(Session, RefusesWrongRequestsByName) {
  const auto engine = test::open(test::random_pair("dflash-full"), 1);
  const auto session = test::session(*engine, "bf16");
  const std::vector<Token> prompt = {1, 2};
  const auto message = [](const auto& result) {
    return result.ok() ? std::string("accepted") : result.error().message;
  };
  EXPECT_THAT(message(session->generate({}, test::greedy(4))), HasSubstr("prompt: empty"));
  EXPECT_THAT(message(session->generate(std::vector<Token>{1, 64}, test::greedy(4))),
              HasSubstr("token 1 has id 64"));
  EXPECT_THAT(message(session->generate(std::vector<Token>{-1}, test::greedy(4))), HasSubstr("id -1"));
  EXPECT_THAT(message(session->generate(prompt, test::greedy(0))), HasSubstr("max_tokens is 0"));
  EXPECT_THAT(message(session->generate(prompt, test::greedy(4, 8, 9))), HasSubstr("verify_width is 9"));
  EXPECT_THAT(message(session->perplexity(prompt, 1)), HasSubstr("ctx is 1"));
  SessionOptions options;
  options.kv = "e9-q3";
  EXPECT_THAT(message(engine->new_session(options)), HasSubstr("e9-q3"));
  options.kv = "bf16";
  options.draft_kv = "zip";
  EXPECT_THAT(message(engine->new_session(options)), HasSubstr("zip"));
}

TEST(Session, StreamsWhatItReturnsAndStopsWhenTold) {
  EngineOptions options;
  options.draft = "tiny";
  const auto engine = test::take(Engine::open(options));
  const auto session = test::session(*engine, "bf16");
  const auto prompt = test::tiny_pair().prompts(1)[0];
  std::string text;
  std::vector<Token> ids;
  int events = 0;
  const auto full = test::take(session->generate(prompt, test::greedy(64), [&](auto piece, auto tokens) {
    text += piece;
    ids.insert(ids.end(), tokens.begin(), tokens.end());
    ++events;
    return true;
  }));
  EXPECT_EQ(text, full.text);
  EXPECT_EQ(ids, full.ids);
  EXPECT_EQ(events, static_cast<int>(full.cycles.size()) + 1);
  int left = 3;
  const auto cut =
      test::take(session->generate(prompt, test::greedy(64), [&](auto, auto) { return --left > 0; }));
  EXPECT_EQ(cut.finish, FinishReason::kCancelled);
  EXPECT_EQ(cut.cycles.size(), 2u);
  EXPECT_EQ(cut.ids, std::vector<Token>(full.ids.begin(),
                                        full.ids.begin() + static_cast<std::ptrdiff_t>(cut.ids.size())));
  EXPECT_EQ(test::take(session->generate(prompt, test::greedy(64))).ids, full.ids);
}

TEST(Session, ObeysExtraAndIgnoredStops) {
  const auto pair = test::tiny_pair();
  const auto engine = test::open(pair, 1);
  const auto session = test::session(*engine, "bf16");
  const auto prompt = pair.prompts(1)[0];
  const auto full = test::take(session->generate(prompt, test::greedy(60)));
  ASSERT_EQ(full.finish, FinishReason::kStop);
  GenerateOptions options = test::greedy(60);
  options.ignore_stop = true;
  const auto longer = test::take(session->generate(prompt, options));
  EXPECT_EQ(longer.ids.size(), 60u);
  EXPECT_EQ(longer.finish, FinishReason::kLength);
  options.extra_stop_ids = {full.ids[5]};
  const auto shorter = test::take(session->generate(prompt, options));
  EXPECT_LE(shorter.ids.size(), 6u);
  EXPECT_EQ(shorter.ids.back(), full.ids[5]);
}

TEST(Session, CountsItsMemory) {
  const auto pair = test::tiny_pair();
  const auto engine = test::open(pair, 1);
  const auto wide = test::session(*engine, "bf16"), narrow = test::session(*engine, "e8-q10");
  const auto prompt = pair.prompts(1)[0];
  const auto out = test::take(wide->generate(prompt, test::greedy(40)));
  test::take(narrow->generate(prompt, test::plain(test::greedy(40))));
  const MemoryLedger a = wide->ledger(), b = narrow->ledger();
  EXPECT_EQ(a.target.channel, "bf16");
  EXPECT_EQ(a.target.bits_allocated, 2048);
  EXPECT_EQ(a.target.layers.size(), 6u);
  EXPECT_EQ(a.draft.layers.size(), 2u);
  EXPECT_EQ(a.target.vectors_stored,
            (prompt.size() + out.ids.size() - 1) * 6 * 2 * 2);  // layers, KV heads, K and V
  EXPECT_EQ(a.draft.vectors_stored, (prompt.size() + out.ids.size() - 1) * 2 * 2 * 2);
  EXPECT_LE(b.target.bits_allocated, 608);
  EXPECT_LT(b.target.codes_bytes, a.target.codes_bytes * 608 / 2048 + 1);
  EXPECT_GT(a.taps_bytes, 0u);
  EXPECT_GT(a.model_scratch_bytes, 0u);
  EXPECT_EQ(b.target.layers[0].skip_fired_vectors, 0u);
  EXPECT_GT(b.target.layers[0].codec_fired_vectors, 0u);
}

TEST(Session, ChoosesWidthsUnlessOneIsGiven) {
  const auto pair = test::tiny_pair();
  const auto engine = test::open(pair, 1);
  const auto session = test::session(*engine, "bf16");
  const auto prompt = pair.prompts(1)[0];
  GenerateOptions options;
  options.max_tokens = 60;
  options.ignore_stop = true;
  const auto chosen = test::take(session->generate(prompt, options));
  EXPECT_EQ(chosen.speculation, Speculation::kAuto);
  const PolicyReport& report = chosen.policy;
  EXPECT_EQ(report.plain_cycles + report.speculative_cycles, chosen.cycles.size());
  EXPECT_GT(report.plain_step_ms, 0);
  EXPECT_GT(report.plain_ms, 0);
  std::size_t token = 1, change = 0;
  std::uint32_t width = 1;
  for (std::size_t i = 0; i < chosen.cycles.size(); ++i) {
    if (change < report.changes.size() && report.changes[change].cycle == i) {
      EXPECT_EQ(report.changes[change].from_width, width);
      EXPECT_EQ(report.changes[change].token, token);
      width = report.changes[change++].to_width;
    }
    EXPECT_EQ(chosen.cycles[i].proposed + 1, width) << "cycle " << i;
    token += chosen.cycles[i].emitted;
  }
  EXPECT_EQ(change, report.changes.size());
  options.verify_width = 4;
  EXPECT_EQ(test::take(session->generate(prompt, options)).speculation, Speculation::kFixed);
  options.use_draft = false;
  EXPECT_EQ(test::take(session->generate(prompt, options)).speculation, Speculation::kOff);
}

TEST(Session, TakesTurnsWithOthersOfItsEngine) {
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 2);
  const auto prompts = pair.prompts(2);
  std::vector<Token> expected[2], got[2];
  for (int i = 0; i < 2; ++i) {
    expected[i] = test::take(test::session(*engine, "e8-q10")->generate(prompts[i], test::greedy(60))).ids;
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      const auto session = test::session(*engine, "e8-q10");
      for (int repeat = 0; repeat < 5; ++repeat) {
        got[i] = test::take(session->generate(prompts[i], test::greedy(60))).ids;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(got[0], expected[0]);
  EXPECT_EQ(got[1], expected[1]);
}

TEST(Session, OutlivesItsEngine) {
  const auto pair = test::random_pair("dflash-full");
  auto engine = test::open(pair, 1);
  const auto session = test::session(*engine, "bf16");
  engine.reset();
  EXPECT_EQ(test::take(session->generate(pair.prompts(1)[0], test::greedy(5))).ids.size(), 5u);
}

TEST(Session, PerplexityIsTheMeanOfTheLogitsOwnLosses) {
  const auto pair = test::random_pair("dflash-full");
  const auto engine = test::open(pair, 1);
  const auto session = test::session(*engine, "bf16");
  std::vector<Token> text;
  for (int i = 0; i < 150; ++i) text.push_back((i * 37 + i * i) % 64);
  const auto result = test::take(session->perplexity(text, 100));
  EXPECT_EQ(result.tokens, 99u + 49u);
  double nll = 0;
  for (const auto& window : {std::span(text).first(100), std::span(text).subspan(100)}) {
    const auto rows = test::take(session->logits(window, LogitSelection::kAll, false));
    for (std::size_t i = 0; i + 1 < window.size(); ++i) {
      double sum = 0;
      const float* row = rows.logits.data() + i * rows.vocab;
      for (std::size_t t = 0; t < rows.vocab; ++t) sum += std::exp(double{row[t]});
      nll += std::log(sum) - row[window[i + 1]];
    }
  }
  EXPECT_NEAR(result.nll_sum, nll, 1e-6 * nll);
}

TEST(Engine, OpensAPairsDirectoryAndDescribesBothModels) {
  EngineOptions options;
  options.target = options.draft = test::source_path("models/tiny");
  const auto engine = test::take(Engine::open(options));
  EXPECT_EQ(engine->target().id, "tiny");
  EXPECT_EQ(engine->target().architecture, "qwen3");
  EXPECT_EQ(engine->target().parameters, 6951680u);
  EXPECT_EQ(engine->target().weight_bytes, 13903360u);
  EXPECT_EQ(engine->target().head_dim, 128u);
  EXPECT_EQ(engine->target().dtype, "bf16");
  ASSERT_NE(engine->draft(), nullptr);
  EXPECT_EQ(engine->draft()->block_size, 8u);
  EXPECT_EQ(engine->draft()->target_layer_ids, (std::vector<std::size_t>{1, 4}));
  EXPECT_EQ(engine->stop_ids(), (std::vector<Token>{4066, 4064}));
  const auto file = base::read_file(test::source_path("models/tiny/target/model.safetensors"), 1u << 30);
  EXPECT_EQ(test::take(engine->target_sha256()), base::sha256_hex(*file));
  EXPECT_NE(test::take(engine->draft_sha256()), test::take(engine->target_sha256()));
}

TEST(Engine, RunsAModelWithoutATokenizerOnIds) {
  const auto engine = test::open(test::random_pair("dflash-full"), 1);
  EXPECT_EQ(engine->template_family(), "none");
  const auto ids = engine->encode("text", false);
  ASSERT_FALSE(ids.ok());
  EXPECT_THAT(ids.error().message, HasSubstr("tokenizer.json"));
  EXPECT_TRUE(test::take(test::session(*engine, "bf16")->generate(std::vector<Token>{1, 2}, test::greedy(3)))
                  .text.empty());
}

TEST(Engine, NamesWhatItCannotOpen) {
  const auto message = [](EngineOptions options) {
    const auto engine = Engine::open(options);
    return engine.ok() ? std::string("accepted") : engine.error().message;
  };
  EngineOptions options;
  options.target = "/no/such/model";
  EXPECT_THAT(message(options), AllOf(HasSubstr("/no/such/model"), HasSubstr("does not exist")));
  options.target = test::source_path("LICENSE");
  EXPECT_THAT(message(options), HasSubstr("is a file"));
  options.target = test::source_path("src");
  EXPECT_THAT(message(options), HasSubstr("no config.json"));
  options.target = "tiny";
  options.draft = test::source_path("tests/golden/models/dflash-full");
  EXPECT_THAT(message(options), HasSubstr("does not fit the target"));
  options.draft.clear();
  options.isa = "mmx";
  EXPECT_THAT(message(options), AllOf(HasSubstr("mmx"), HasSubstr("scalar")));
  options.isa.clear();
  options.threads = -1;
  EXPECT_THAT(message(options), HasSubstr("threads is -1"));
  options.threads = 0;
  options.share_dir = "/no/such/share";
  EXPECT_THAT(message(options), HasSubstr("/no/such/share"));
}

TEST(ShareDir, IsFoundForABuildTree) {
  EXPECT_TRUE(
      fs::exists(fs::path(test::take(find_share_dir(""))) / "models" / "tiny" / "target" / "config.json"));
}

}  // namespace
}  // namespace kakeya::engine
