// Who gets a turn when others keep the engine busy, and what a request leaves in its slot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/service_test_support.h"

namespace kakeya {
namespace {

using namespace service_testing;

using ::testing::HasSubstr;

ServiceRequest request_of(const Engine& engine, int i, int tokens) {
  ServiceRequest request;
  request.prompt = prompt_of(engine, question(i));
  request.options.max_tokens = tokens;
  request.options.ignore_stop = true;
  return request;
}

// Two clients: there is always one whose text waits while the other's is embedded.
TEST(ServiceTurns, EmbeddingsWithoutAPauseStopNoAnswer) {
  const auto engine = open_pair();
  const auto service = open_service(*engine, {});
  const std::vector<Token> text = prompt_of(*engine, question(3));
  std::atomic<bool> over{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!over) EXPECT_TRUE(service->embed(text).ok());
    });
  }
  const Outcome got = ask(*service, request_of(*engine, 1, 40));
  over = true;
  for (std::thread& client : clients) client.join();
  ASSERT_FALSE(got.error) << got.error->message;
  EXPECT_EQ(got.ids.size(), 40u);
}

TEST(ServiceTurns, WideBlocksLeaveRowsToThePromptsOfOthers) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 4;
  const auto service = open_service(*engine, options);
  std::vector<std::unique_ptr<Answer>> wide;
  for (int i = 0; i < 3; ++i) {
    ServiceRequest request = request_of(*engine, i, 400);
    request.options.speculation = Speculation::kFixed;
    request.options.block_size = 112;
    auto answer = service->submit(std::move(request));
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    wide.push_back(std::move(*answer));
  }
  while (service->stats().output_tokens == 0) std::this_thread::yield();
  const Outcome got = ask(*service, request_of(*engine, 5, 2));
  ASSERT_FALSE(got.error) << got.error->message;
  EXPECT_EQ(got.ids.size(), 2u);
  EXPECT_GE(service->stats().running, 3u) << "they end after it, so it was served beside them";
}

TEST(ServiceTurns, RefusesABlockThatWouldFillThePasses) {
  const auto engine = open_pair();
  const auto service = open_service(*engine, {});
  ServiceRequest request = request_of(*engine, 1, 8);
  request.options.block_size = 256;
  const auto answer = service->submit(std::move(request));
  ASSERT_FALSE(answer.ok());
  EXPECT_THAT(answer.error().message, HasSubstr("block_size: found 256"));
}

// Others run while it ends, so the draft observes its text when nobody waits, before the next turn at the
// latest.
TEST(ServiceTurns, TheDraftKnowsATextThatEndedBesideOthers) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 3;
  const auto service = open_service(*engine, options);
  std::vector<std::unique_ptr<Answer>> others;
  const auto submit = [&](int i, int tokens) {
    ServiceRequest request = request_of(*engine, i, tokens);
    request.options.speculation = Speculation::kAuto;
    auto answer = service->submit(std::move(request));
    EXPECT_TRUE(answer.ok());
    return std::move(*answer);
  };
  ASSERT_FALSE(collect(*submit(0, 20)).error);  // alone: plain steps are known from here on
  others.push_back(submit(1, 300));
  others.push_back(submit(2, 300));
  ServiceRequest next = request_of(*engine, 3, 30);
  next.options.speculation = Speculation::kAuto;
  const Outcome first = collect(*submit(3, 30));
  ASSERT_FALSE(first.error);
  next.prompt.insert(next.prompt.end(), first.ids.begin(), first.ids.end());
  const Outcome second = ask(*service, next);
  ASSERT_FALSE(second.error);
  EXPECT_EQ(second.completion.speculation, Speculation::kAuto) << "the draft has no gap";
  EXPECT_EQ(second.cached, next.prompt.size() - 1);
  EXPECT_EQ(second.ids, alone(*engine, next, "bf16").ids);
  for (const auto& other : others) EXPECT_FALSE(collect(*other).error);
}

// A request without drafts in between must not leave rows that the draft saw of another text.
TEST(ServiceTurns, ARequestOfOneRowTakesTheDraftBackToWhatItShares) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 1;
  const auto service = open_service(*engine, options);
  const auto fixed = [&](std::vector<Token> prompt, std::size_t width) {
    ServiceRequest request;
    request.prompt = std::move(prompt);
    request.options.max_tokens = 48;
    request.options.ignore_stop = true;
    request.options.speculation = Speculation::kFixed;
    request.options.verify_width = width;
    return request;
  };
  const std::vector<Token> first = prompt_of(*engine, question(2));
  ASSERT_FALSE(ask(*service, fixed(first, 0)).error);
  std::vector<Token> other(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(first.size() / 2));
  const std::vector<Token> tail = prompt_of(*engine, question(6));
  other.insert(other.end(), tail.begin(), tail.end());
  const Outcome plain = ask(*service, fixed(other, 1));
  ASSERT_FALSE(plain.error);
  EXPECT_EQ(plain.completion.speculation, Speculation::kOff);
  std::vector<Token> next = other;
  next.insert(next.end(), plain.ids.begin(), plain.ids.end());
  const Outcome reused = ask(*service, fixed(next, 0));
  ServiceRequest fresh = fixed(next, 0);
  fresh.reuse_prefix = false;
  const Outcome whole = ask(*service, fresh);
  ASSERT_FALSE(reused.error);
  ASSERT_EQ(reused.completion.cycles.size(), whole.completion.cycles.size());
  for (std::size_t i = 0; i < whole.completion.cycles.size(); ++i) {
    EXPECT_EQ(reused.completion.cycles[i].accepted, whole.completion.cycles[i].accepted) << "cycle " << i;
  }
}

TEST(ServiceTurns, StopIdsOutsideTheVocabularyAreRefused) {
  const auto engine = open_pair();
  const auto session = engine->new_session({});
  ASSERT_TRUE(session.ok());
  GenerateOptions options;
  options.max_tokens = 4;
  options.rules.min_tokens = 1;
  for (const Token id : {Token{-1}, static_cast<Token>(engine->target().vocab_size)}) {
    options.extra_stop_ids = {id};
    const auto out = (*session)->generate(prompt_of(*engine, question(1)), options);
    ASSERT_FALSE(out.ok());
    EXPECT_THAT(out.error().message, HasSubstr("extra_stop_ids: token 0 has id " + std::to_string(id)));
  }
}

TEST(ServiceTurns, TokensBehindAStopStringAreNotCounted) {
  const auto engine = open_pair();
  const auto service = open_service(*engine, {});
  ServiceRequest request = request_of(*engine, 1, 64);
  request.options.speculation = Speculation::kFixed;
  const Outcome whole = ask(*service, request);
  ASSERT_GT(whole.text.size(), 12u);
  const auto counted = [&](std::uint64_t finished) {  // sums are published at the end of a turn
    while (service->stats().finished < finished) std::this_thread::yield();
    return service->stats().output_tokens;
  };
  const std::uint64_t before = counted(1);
  request.stop_strings = {whole.text.substr(8, 3)};
  const Outcome cut = ask(*service, request);
  EXPECT_EQ(counted(2) - before, cut.completion.usage.output_tokens);
}

}  // namespace
}  // namespace kakeya
