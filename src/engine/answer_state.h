// The events of one request on their way from the thread that runs the models to the request's owner.
#pragma once
#include <kakeya/service.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

namespace kakeya::engine {

// Shared by both ends; outlives whichever goes first.
class AnswerState {
 public:
  explicit AnswerState(std::function<void()> wake) : wake_(std::move(wake)) {}

  void push(ServiceEvent event);
  std::optional<ServiceEvent> next(std::chrono::milliseconds wait);
  void cancel();
  bool cancelled() const { return cancelled_; }
  bool over() const;  // the last event was pushed
  double elapsed_ms() const;

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::function<void()> wake_;  // of the thread that runs the models
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<ServiceEvent> events_;
  bool over_ = false;
  std::atomic<bool> cancelled_{false};
};

class AnswerImpl final : public Answer {
 public:
  explicit AnswerImpl(std::shared_ptr<AnswerState> state) : state_(std::move(state)) {}
  ~AnswerImpl() override { state_->cancel(); }
  std::optional<ServiceEvent> next(std::chrono::milliseconds wait) override { return state_->next(wait); }
  void cancel() override { state_->cancel(); }

 private:
  std::shared_ptr<AnswerState> state_;
};

}  // namespace kakeya::engine
