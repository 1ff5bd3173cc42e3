// A queue of events. Its length is bounded by the tokens of one answer.
#include "engine/answer_state.h"

namespace kakeya::engine {

void AnswerState::push(ServiceEvent event) {
  event.elapsed_ms = elapsed_ms();
  {
    const std::lock_guard lock(mutex_);
    over_ = over_ || event.kind == ServiceEvent::Kind::kFinished || event.kind == ServiceEvent::Kind::kFailed;
    events_.push_back(std::move(event));
  }
  filled_.notify_one();
}

std::optional<ServiceEvent> AnswerState::next(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  filled_.wait_for(lock, wait, [this] { return !events_.empty() || over_; });
  if (events_.empty()) return std::nullopt;
  ServiceEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void AnswerState::cancel() {
  if (cancelled_.exchange(true) || over()) return;
  wake_();
}

bool AnswerState::over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

double AnswerState::elapsed_ms() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace kakeya::engine
