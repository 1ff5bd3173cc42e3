// What a closing service still runs, and what it tells the others.
#include <gmock/gmock.h>

#include <thread>

#include "engine/service_test_support.h"

namespace kakeya {
namespace {

using namespace service_testing;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(Service, DrainingLetsRunningRequestsFinishAndTellsThoseThatWait) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 1;
  const auto service = open_service(*engine, options);
  ServiceRequest request;
  request.prompt = prompt_of(*engine, question(1));
  request.options.max_tokens = 50;
  request.options.ignore_stop = true;
  auto running = service->submit(request);
  ASSERT_TRUE(running.ok());
  ASSERT_TRUE((*running)->next(kPatience));  // it has begun
  auto waiting = service->submit(request);
  ASSERT_TRUE(waiting.ok());
  service->drain(kPatience);
  EXPECT_EQ(collect(**running).completion.usage.output_tokens, 50u);
  const Outcome told = collect(**waiting);
  ASSERT_TRUE(told.error);
  EXPECT_EQ(told.error->code, ErrorCode::kUnavailable);
}

TEST(Service, DrainingRunsWhatAFreeSlotIsThereFor) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 2;
  ServiceRequest request;
  request.prompt = prompt_of(*engine, question(1));
  request.options.max_tokens = 5;
  request.options.ignore_stop = true;
  for (int i = 0; i < 20; ++i) {  // the loop may or may not have turned
    const auto service = open_service(*engine, options);
    auto first = service->submit(request).value();
    auto second = service->submit(request).value();
    service->drain(kPatience);
    for (Answer* answer : {first.get(), second.get()}) {
      const Outcome outcome = collect(*answer);
      ASSERT_FALSE(outcome.error) << i << outcome.error->message;
      EXPECT_EQ(outcome.completion.usage.output_tokens, 5u);
    }
  }
}

TEST(Service, DrainingRunsTheRestOfAnAnswerThatHasBegunWithinItsTime) {
  const auto engine = open_pair();
  ServiceOptions options;
  options.slots = 1;
  for (const bool in_time : {true, false}) {
    const auto service = open_service(*engine, options);
    ServiceRequest request;
    request.prompt = prompt_of(*engine, question(1));
    request.options.max_tokens = 50;
    request.options.ignore_stop = true;
    request.group = 7;
    std::vector<std::unique_ptr<Answer>> choices;
    for (int i = 0; i < 3; ++i) choices.push_back(service->submit(request).value());
    request.group = 8;
    auto other = service->submit(request).value();
    ASSERT_TRUE(choices[0]->next(kPatience));  // it has begun
    service->drain(in_time ? kPatience : milliseconds(0));
    for (std::size_t i = 0; i < choices.size(); ++i) {
      const Outcome choice = collect(*choices[i]);
      if (in_time) {
        EXPECT_FALSE(choice.error) << choice.error->message;
        EXPECT_EQ(choice.completion.usage.output_tokens, 50u);
      } else if (i > 0) {
        ASSERT_TRUE(choice.error);
        EXPECT_EQ(choice.error->code, ErrorCode::kUnavailable);
      }
    }
    const Outcome told = collect(*other);
    ASSERT_TRUE(told.error);
    EXPECT_EQ(told.error->code, ErrorCode::kUnavailable);
  }
}

}  // namespace
}  // namespace kakeya
