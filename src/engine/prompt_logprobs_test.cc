// Log-probabilities of a prompt's own tokens, and requests that end with their prompt. The oracle is
// PyTorch's logits and greedy ids of the embedded pair (models/tiny/golden.json).
#include <gtest/gtest.h>
#include <kakeya/service.h>

#include <cmath>
#include <cstring>

#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

constexpr std::chrono::milliseconds kPatience{20'000};

struct Scored {
  std::vector<TokenLogprob> prompt;
  std::vector<Token> ids;
  Completion completion;
};

Scored run(Service& service, const ServiceRequest& request) {
  const auto answer = test::take(service.submit(request));
  Scored out;
  while (auto event = answer->next(kPatience)) {
    EXPECT_NE(event->kind, ServiceEvent::Kind::kFailed) << event->error.message;
    out.prompt.insert(out.prompt.end(), event->prompt_logprobs.begin(), event->prompt_logprobs.end());
    out.ids.insert(out.ids.end(), event->ids.begin(), event->ids.end());
    if (event->kind == ServiceEvent::Kind::kFinished) out.completion = event->completion;
  }
  return out;
}

ServiceRequest scored(std::vector<Token> prompt, int max_tokens) {
  ServiceRequest request;
  request.prompt = std::move(prompt);
  request.options.max_tokens = max_tokens;
  request.options.prompt_logprobs = 2;
  return request;
}

// Rows of a two-dimensional little-endian float32 .npy.
std::vector<std::vector<float>> read_rows(const std::string& relative, std::size_t width) {
  std::ifstream in(test::source_path(relative), std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::vector<float>> rows;
  std::uint16_t header = 0;
  if (file.size() < 10) return rows;
  std::memcpy(&header, file.data() + 8, 2);
  const std::size_t bytes = width * sizeof(float);
  for (std::size_t at = 10u + header; at + bytes <= file.size(); at += bytes) {
    rows.emplace_back(width);
    std::memcpy(rows.back().data(), file.data() + at, bytes);
  }
  return rows;
}

double log_softmax(const std::vector<float>& logits, Token id) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  return logits[static_cast<std::size_t>(id)] - std::log(sum);
}

class PromptLogprobs : public ::testing::Test {
 protected:
  void SetUp() override {
    engine_ = test::open(test::tiny_pair(), 2);
    ServiceOptions options;
    options.session.kv = "f32";
    options.slots = 2;
    service_ = test::take(engine_->new_service(options));
    golden_ = test::read_json("models/tiny/golden.json");
  }
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Service> service_;
  nlohmann::json golden_;
};

std::vector<Token> ids_of(const nlohmann::json& list) { return list.get<std::vector<Token>>(); }

TEST_F(PromptLogprobs, AreThoseOfPyTorchsLogits) {
  const auto logits = read_rows("models/tiny/golden_logits.npy", engine_->target().vocab_size);
  ASSERT_EQ(logits.size(), 3u);
  std::size_t compared = 0;
  for (const auto& entry : golden_["cases"]) {
    if (!entry.contains("logits_row")) continue;
    const auto& row = logits[entry["logits_row"].get<std::size_t>()];
    for (const Token next : {ids_of(entry["plain_ids"])[0], Token{11}}) {
      auto ids = ids_of(entry["prompt_ids"]);
      ids.push_back(next);
      const Scored got = run(*service_, scored(ids, 0));
      ASSERT_EQ(got.prompt.size(), ids.size() - 1);
      EXPECT_EQ(got.prompt.back().id, next);
      EXPECT_NEAR(got.prompt.back().logprob, log_softmax(row, next), 1e-3);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 6u);
}

TEST_F(PromptLogprobs, RankFirstWhatPyTorchChoseGreedily) {
  std::size_t looked_at = 0;
  for (const auto& entry : golden_["cases"]) {
    if (entry["smallest_gap"].get<double>() < 1e-3) continue;
    auto ids = ids_of(entry["prompt_ids"]);
    const auto answer = ids_of(entry["plain_ids"]);
    const std::size_t first = ids.size();
    ids.insert(ids.end(), answer.begin(), answer.end());
    const Scored got = run(*service_, scored(ids, 0));
    ASSERT_EQ(got.prompt.size(), ids.size() - 1);
    for (std::size_t i = 1; i < ids.size(); ++i) {
      EXPECT_EQ(got.prompt[i - 1].id, ids[i]);
      ASSERT_EQ(got.prompt[i - 1].top.size(), 2u);
      if (i >= first) {
        ASSERT_EQ(got.prompt[i - 1].top[0].first, ids[i]) << "token " << i;
      }
    }
    looked_at += answer.size();
  }
  EXPECT_GT(looked_at, 500u);
}

TEST_F(PromptLogprobs, ChangeNothingThatFollowsAndComeWholeTheSecondTime) {
  const auto& entry = golden_["cases"][0];
  auto request = scored(ids_of(entry["prompt_ids"]), 40);
  const Scored first = run(*service_, request), second = run(*service_, request);
  EXPECT_EQ(first.ids, std::vector<Token>(entry["plain_ids"].begin(), entry["plain_ids"].begin() + 40));
  EXPECT_EQ(second.ids, first.ids);
  EXPECT_EQ(second.prompt.size(), request.prompt.size() - 1);
  EXPECT_EQ(second.completion.usage.cached_tokens, 0u);
  request.options.prompt_logprobs = -1;
  const Scored plain = run(*service_, request);
  EXPECT_EQ(plain.ids, first.ids);
  EXPECT_TRUE(plain.prompt.empty());
}

TEST_F(PromptLogprobs, OfASessionAreThoseOfAService) {
  const auto request = scored(ids_of(golden_["cases"][1]["prompt_ids"]), 1);
  const Scored service = run(*service_, request);
  const auto session = test::session(*engine_, "f32");
  const Generation own = test::take(session->generate(request.prompt, request.options));
  ASSERT_EQ(own.prompt_logprobs.size(), service.prompt.size());
  for (std::size_t i = 0; i < own.prompt_logprobs.size(); ++i) {
    EXPECT_EQ(own.prompt_logprobs[i].logprob, service.prompt[i].logprob);
  }
}

TEST_F(PromptLogprobs, ARequestForNoTokensLeavesItsPromptInTheCache) {
  const auto& entry = golden_["cases"][2];
  auto request = scored(ids_of(entry["prompt_ids"]), 0);
  request.options.prompt_logprobs = -1;
  const Scored none = run(*service_, request);
  EXPECT_TRUE(none.ids.empty());
  EXPECT_EQ(none.completion.finish, FinishReason::kLength);
  EXPECT_EQ(none.completion.usage.output_tokens, 0u);
  request.options.max_tokens = 12;
  const Scored next = run(*service_, request);
  EXPECT_EQ(next.completion.usage.cached_tokens, request.prompt.size() - 1);
  EXPECT_EQ(next.ids, std::vector<Token>(entry["plain_ids"].begin(), entry["plain_ids"].begin() + 12));
}

}  // namespace
}  // namespace kakeya::engine
