// Time for counters and for the policy. Tests pass a clock of their own: no result depends on it.
#pragma once
#include <chrono>
#include <functional>

namespace kakeya::decode {

using Clock = std::function<double()>;  // ms since some moment, never falling

inline double steady_clock_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Adds the time of its life to a total.
class StopWatch {
 public:
  StopWatch(const Clock& clock, double& total_ms) : clock_(clock), total_ms_(total_ms), start_(clock()) {}
  ~StopWatch() { total_ms_ += clock_() - start_; }
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

 private:
  const Clock& clock_;
  double& total_ms_;
  double start_;
};

}  // namespace kakeya::decode
