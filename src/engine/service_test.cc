// Several requests on one engine. The oracle is a session that runs each of them alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kakeya/engine.h>
#include <kakeya/service.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "engine/pair_test_support.h"
#include "engine/service_test_support.h"

namespace kakeya {
namespace {

using namespace service_testing;

using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(Service, RequestsThatShareThePassesAnswerAsAlone) {
  const auto engine = open_pair();
  for (const Speculation speculation : {Speculation::kOff, Speculation::kFixed, Speculation::kAuto}) {
    ServiceOptions options;
    options.slots = 4;
    options.session.kv = "e8-q10";
    options.kv_allowed = {"bf16", "e8-q38"};
    const auto service = open_service(*engine, options);
    const std::string channels[] = {"e8-q10", "bf16", "e8-q38"};
    std::vector<ServiceRequest> requests;
    std::vector<std::unique_ptr<Answer>> answers;
    for (int i = 0; i < 10; ++i) {
      ServiceRequest request;
      request.prompt = prompt_of(*engine, question(i));
      request.kv = channels[i % 3];
      request.client = "client " + std::to_string(i % 2);
      request.options.max_tokens = 20 + 7 * i;
      request.options.speculation = speculation;
      if (i % 4 == 3)
        request.options.sampling = {.temperature = 0.8f, .top_k = 20, .seed = 7u + static_cast<unsigned>(i)};
      if (i % 4 == 1) {
        request.options.rules.frequency_penalty = 0.4f;
        request.options.rules.repetition_penalty = 1.2f;
        request.options.logprobs = 3;
      }
      requests.push_back(request);
      auto answer = service->submit(request);
      ASSERT_TRUE(answer.ok()) << answer.error().message;
      answers.push_back(std::move(answer).value());
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const Outcome got = collect(*answers[i]);
      ASSERT_FALSE(got.error) << got.error->message;
      const Generation own = alone(*engine, requests[i], requests[i].kv);
      EXPECT_EQ(got.ids, own.ids) << "request " << i << " under " << to_string(speculation);
      EXPECT_EQ(got.text, own.text);
      EXPECT_EQ(got.completion.finish, own.finish);
      EXPECT_EQ(got.completion.kv, requests[i].kv);
      ASSERT_EQ(got.logprobs.size(), own.logprobs.size());
      for (std::size_t t = 0; t < own.logprobs.size(); ++t) {
        EXPECT_EQ(got.logprobs[t].logprob, own.logprobs[t].logprob);
        EXPECT_EQ(got.logprobs[t].top, own.logprobs[t].top);
      }
    }
    const ServiceStats stats = service->stats();
    EXPECT_EQ(stats.finished, 10u);
    EXPECT_GT(stats.shared_passes, 0u);
    if (speculation == Speculation::kFixed) {
      EXPECT_GT(stats.accepted, 0u);
      EXPECT_GT(stats.shared_draft_passes, 0u);
    }
  }
}

TEST(Service, AConversationGoesOnFromItsCacheAndSaysTheSame) {
  const auto engine = open_pair();
  for (const Speculation speculation : {Speculation::kOff, Speculation::kFixed, Speculation::kAuto}) {
    ServiceOptions options;
    options.slots = 2;
    const auto service = open_service(*engine, options);
    ServiceRequest request;
    request.options.max_tokens = 40;
    request.options.speculation = speculation;
    request.prompt = prompt_of(*engine, question(1));
    const Outcome first = ask(*service, request);
    ASSERT_FALSE(first.error);
    // The next turn: prompt, answer, more text.
    ServiceRequest next = request;
    next.prompt.insert(next.prompt.end(), first.ids.begin(), first.ids.end());
    const auto more = engine->encode("\nAnd how many are left?", false).value();
    next.prompt.insert(next.prompt.end(), more.begin(), more.end());
    const Outcome second = ask(*service, next);
    ASSERT_FALSE(second.error);
    EXPECT_GE(second.cached, request.prompt.size() + first.ids.size() - 1) << to_string(speculation);
    EXPECT_EQ(second.completion.usage.cached_tokens, second.cached);
    const Generation own = alone(*engine, next, "bf16");
    EXPECT_EQ(second.ids, own.ids) << to_string(speculation);
    if (speculation == Speculation::kFixed) {
      ASSERT_EQ(second.completion.cycles.size(), own.cycles.size());
      for (std::size_t i = 0; i < own.cycles.size(); ++i) {
        EXPECT_EQ(second.completion.cycles[i].accepted, own.cycles[i].accepted);
      }
    }
    next.reuse_prefix = false;
    const Outcome fresh = ask(*service, next);
    EXPECT_EQ(fresh.cached, 0u);
    EXPECT_EQ(fresh.ids, own.ids);
  }
}

TEST(Service, PrefixesOutliveTheirSlots) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 1;
  const auto service = open_service(*engine, options);
  std::vector<ServiceRequest> requests(2);
  std::vector<Generation> own;
  for (std::size_t i = 0; i < 2; ++i) {
    requests[i].prompt =
        prompt_of(*engine, std::string(i == 0 ? "First " : "Second ") + question(static_cast<int>(i)) +
                               " Explain every step of the way to the answer.");
    requests[i].options.max_tokens = 30;
    requests[i].options.speculation = Speculation::kFixed;
    own.push_back(alone(*engine, requests[i], "bf16"));
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 2; ++i) {
      const Outcome got = ask(*service, requests[i]);
      ASSERT_FALSE(got.error);
      EXPECT_EQ(got.ids, own[i].ids);
      if (round > 0) {
        EXPECT_EQ(got.cached, requests[i].prompt.size() - 1) << "round " << round << ", request " << i;
      }
    }
  }
}

TEST(Service, StopStringsEndTheTextBeforeThem) {
  const auto engine = open_pair();
  const auto service = open_service(*engine, {});
  ServiceRequest request;
  request.prompt = prompt_of(*engine, question(3));
  request.options.max_tokens = 60;
  const std::string whole = alone(*engine, request, "bf16").text;
  ASSERT_GT(whole.size(), 20u);
  for (const std::size_t at : {std::size_t{3}, std::size_t{9}, whole.size() / 2}) {
    for (const std::size_t length : {std::size_t{1}, std::size_t{6}}) {
      const std::string stop = whole.substr(at, length);
      request.stop_strings = {"never in it", stop};
      const Outcome got = ask(*service, request);
      ASSERT_FALSE(got.error);
      EXPECT_EQ(got.text, whole.substr(0, whole.find(stop)));
      EXPECT_EQ(got.completion.finish, FinishReason::kStop);
      EXPECT_EQ(got.completion.stop_string, stop);
    }
  }
}

TEST(Service, CancelledWorkStopsAndItsSlotServesTheNext) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 1;
  const auto service = open_service(*engine, options);
  ServiceRequest endless;
  endless.prompt = prompt_of(*engine, question(1));
  endless.options.max_tokens = 700;
  endless.options.ignore_stop = true;
  auto answer = service->submit(endless);
  ASSERT_TRUE(answer.ok());
  while (true) {
    const auto event = (*answer)->next(kPatience);
    ASSERT_TRUE(event);
    if (event->kind == ServiceEvent::Kind::kText) break;
  }
  answer->reset();  // its owner goes away
  ServiceRequest next = endless;
  next.prompt = prompt_of(*engine, question(2));
  next.options.max_tokens = 10;
  const Outcome got = ask(*service, next);
  ASSERT_FALSE(got.error);
  EXPECT_EQ(got.ids, alone(*engine, next, "bf16").ids);
  const ServiceStats stats = service->stats();
  EXPECT_EQ(stats.cancelled, 1u);
  EXPECT_LT(stats.output_tokens, 700u);
  const auto runs = service->submit(endless);
  const auto waits = service->submit(next);
  ASSERT_TRUE(runs.ok() && waits.ok());
  (*waits)->cancel();
  EXPECT_EQ(collect(**waits).completion.finish, FinishReason::kCancelled);
  EXPECT_EQ(service->stats().cancelled, 2u) << "one that never had a slot counts";
}

TEST(Service, RefusesWhatItCannotTakeByName) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 1;
  options.max_queue = 2;
  options.session.max_tokens = 128;
  options.kv_allowed = {"e8-q38"};
  const auto service = open_service(*engine, options);
  ServiceRequest request;
  request.prompt = prompt_of(*engine, question(1));
  request.options.max_tokens = 8;
  auto refused = [&](ServiceRequest bad) {
    const auto answer = service->submit(std::move(bad));
    EXPECT_FALSE(answer.ok());
    return answer.ok() ? Error{ErrorCode::kCancelled, ""} : answer.error();
  };
  ServiceRequest bad = request;
  bad.kv = "e8-q4";
  EXPECT_THAT(refused(bad).message, HasSubstr("kv: found 'e8-q4', expected one of: bf16, e8-q38"));
  bad = request;
  bad.options.max_tokens = 1000;
  EXPECT_EQ(refused(bad).code, ErrorCode::kContextOverflow);
  bad = request;
  bad.slot = 1;
  EXPECT_THAT(refused(bad).message, HasSubstr("slot: found 1"));
  bad = request;
  bad.prompt = {1, 999999};
  EXPECT_THAT(refused(bad).message, HasSubstr("999999"));
  // A wrong option is told through the answer or at once, but told.
  bad = request;
  bad.options.logprobs = 21;
  EXPECT_TRUE(ask(*service, bad).error);
  // The queue is bounded.
  ServiceRequest endless = request;
  endless.options.ignore_stop = true;
  endless.options.max_tokens = 60;
  std::vector<std::unique_ptr<Answer>> waiting;
  std::optional<Error> full;
  for (int i = 0; i < 12 && !full; ++i) {
    auto answer = service->submit(endless);
    if (answer.ok()) {
      waiting.push_back(std::move(answer).value());
    } else {
      full = answer.error();
    }
  }
  ASSERT_TRUE(full);
  EXPECT_EQ(full->code, ErrorCode::kUnavailable);
  service->drain(milliseconds(10'000));
  EXPECT_EQ(refused(request).code, ErrorCode::kUnavailable);
}

TEST(Service, ASavedSlotGoesOnInAnotherServiceAndAWrongOneIsRefused) {
  const auto engine = open_pair();
  const std::string path = ::testing::TempDir() + "kakeya_service_test.session";
  ServiceOptions options;
  options.session.kv = "e8-q38";
  ServiceRequest request;
  request.prompt = prompt_of(*engine, question(5));
  request.options.max_tokens = 30;
  request.options.speculation = Speculation::kFixed;
  std::size_t saved = 0;
  {
    const auto service = open_service(*engine, options);
    const Outcome first = ask(*service, request);
    ASSERT_FALSE(first.error);
    auto result = service->save_slot(first.completion.slot, path);
    ASSERT_TRUE(result.ok()) << result.error().message;
    saved = *result;
    EXPECT_FALSE(service->save_slot(3, path).ok()) << "an empty slot";
  }
  const Generation own = alone(*engine, request, "e8-q38");
  {
    const auto service = open_service(*engine, options);
    auto restored = service->restore_slot(2, path);
    ASSERT_TRUE(restored.ok()) << restored.error().message;
    EXPECT_EQ(*restored, saved);
    const Outcome again = ask(*service, request);
    EXPECT_EQ(again.cached, request.prompt.size() - 1);
    EXPECT_EQ(again.completion.slot, 2);
    EXPECT_EQ(again.ids, own.ids);
  }
  {
    options.session.kv = "e8-q10";
    const auto service = open_service(*engine, options);
    const auto refused = service->restore_slot(0, path);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("e8-q38"));
    EXPECT_THAT(refused.error().message, HasSubstr("e8-q10"));
  }
  std::filesystem::remove(path);
}

// Threads, random ends, all kinds of requests at once.
TEST(Service, HoldsUnderManyClients) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 3;
  options.max_queue = 1000;
  options.prefix_bytes = std::size_t{4} << 20;
  const auto service = open_service(*engine, options);
  std::vector<Generation> own;
  std::vector<ServiceRequest> requests;
  for (int i = 0; i < 4; ++i) {
    ServiceRequest request;
    request.prompt = prompt_of(*engine, question(i));
    request.options.max_tokens = 12 + 5 * i;
    requests.push_back(request);
    own.push_back(alone(*engine, request, "bf16"));
  }
  std::vector<std::thread> clients;
  std::atomic<int> finished{0};
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      std::mt19937 random(static_cast<unsigned>(c));
      for (int r = 0; r < 6; ++r) {
        const std::size_t which = random() % requests.size();
        ServiceRequest request = requests[which];
        request.client = std::to_string(c);
        auto answer = service->submit(request);
        if (!answer.ok()) {
          ADD_FAILURE() << answer.error().message;
          return;
        }
        if (random() % 3 == 0) {
          (*answer)->next(milliseconds(random() % 20));
          continue;  // gone
        }
        const Outcome got = collect(**answer);
        EXPECT_EQ(got.ids, own[which].ids);
        ++finished;
      }
    });
  }
  const auto vector = service->embed(requests[0].prompt);
  EXPECT_TRUE(vector.ok());
  for (std::thread& client : clients) client.join();
  EXPECT_GT(finished, 10);
  service->drain(kPatience);
  EXPECT_EQ(service->stats().running, 0u);
  EXPECT_EQ(service->stats().failed, 0u);
}

TEST(Service, EmbeddingsAreThoseOfASession) {
  const auto engine = open_pair("");
  const auto service = open_service(*engine, {});
  const auto prompt = prompt_of(*engine, question(2));
  const auto got = service->embed(prompt);
  ASSERT_TRUE(got.ok()) << got.error().message;
  auto session = engine->new_session({});
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(*got, (*session)->embed(prompt).value());
  EXPECT_EQ(got->size(), engine->target().hidden_size);
}

}  // namespace
}  // namespace kakeya
