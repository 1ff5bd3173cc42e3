// A service on the embedded pair, what came of a request, and the session that runs it alone. Included by
// *_test.cc only.
#pragma once
#include <gtest/gtest.h>
#include <kakeya/engine.h>
#include <kakeya/service.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kakeya::service_testing {

inline constexpr std::chrono::milliseconds kPatience{20'000};

inline std::unique_ptr<Engine> open_pair(const std::string& draft = "tiny") {
  EngineOptions options;
  options.draft = draft;
  options.threads = 2;
  auto engine = Engine::open(options);
  EXPECT_TRUE(engine.ok()) << engine.error().message;
  return std::move(engine).value();
}

inline std::unique_ptr<Service> open_service(const Engine& engine, ServiceOptions options) {
  auto service = engine.new_service(options);
  EXPECT_TRUE(service.ok()) << service.error().message;
  return std::move(service).value();
}

struct Outcome {
  std::vector<Token> ids;
  std::vector<TokenLogprob> logprobs;
  std::string text;
  Completion completion;
  std::optional<Error> error;
  std::size_t cached = 0;
};

inline Outcome collect(Answer& answer) {
  Outcome out;
  while (true) {
    auto event = answer.next(kPatience);
    if (!event) {
      ADD_FAILURE() << "no event came";
      return out;
    }
    out.text += event->text;
    out.ids.insert(out.ids.end(), event->ids.begin(), event->ids.end());
    out.logprobs.insert(out.logprobs.end(), event->logprobs.begin(), event->logprobs.end());
    if (event->kind == ServiceEvent::Kind::kStarted) out.cached = event->cached_tokens;
    if (event->kind == ServiceEvent::Kind::kFailed) out.error = event->error;
    if (event->kind == ServiceEvent::Kind::kFinished) out.completion = event->completion;
    if (event->kind == ServiceEvent::Kind::kFinished || event->kind == ServiceEvent::Kind::kFailed)
      return out;
  }
}

inline Outcome ask(Service& service, ServiceRequest request) {
  auto answer = service.submit(std::move(request));
  if (!answer.ok()) {
    Outcome out;
    out.error = answer.error();
    return out;
  }
  return collect(**answer);
}

inline std::vector<Token> prompt_of(const Engine& engine, const std::string& text) {
  ChatRequest chat;
  chat.messages.push_back({"user", text, {}, {}});
  chat.enable_thinking = false;
  auto rendered = engine.render_chat(chat);
  EXPECT_TRUE(rendered.ok());
  return engine.encode(*rendered, true).value();
}

inline std::string question(int i) {
  return "Tom has " + std::to_string(i + 2) + " bags of " + std::to_string(i % 7 + 3) + " apples. He eats " +
         std::to_string(i % 5) + ". How many apples does he have?";
}

inline Generation alone(const Engine& engine, const ServiceRequest& request, const std::string& kv) {
  SessionOptions session;
  session.kv = kv;
  auto made = engine.new_session(session);
  EXPECT_TRUE(made.ok());
  auto out = (*made)->generate(request.prompt, request.options);
  EXPECT_TRUE(out.ok()) << out.error().message;
  return std::move(out).value();
}

}  // namespace kakeya::service_testing
