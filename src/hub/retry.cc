#include "hub/retry.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace kakeya::hub {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

bool may_pass(const HttpOutcome& outcome) {
  if (outcome.failed) return outcome.failure.may_pass;
  const long status = outcome.reply.status;
  // A store behind the hub refuses an address whose signature has run out: the hub signs another.
  if (outcome.reply.elsewhere && (status == 401 || status == 403)) return true;
  return status == 408 || status == 416 || status == 429 || status >= 500;
}

}  // namespace

Status Retry::wait(long ms, const std::string& what) {
  const auto until = Clock::now() + milliseconds(ms);
  while (Clock::now() < until) {
    if (cancelled_ && cancelled_()) return Error{ErrorCode::kCancelled, what + "; cancelled"};
    std::this_thread::sleep_for(std::min<Clock::duration>(milliseconds(50), until - Clock::now()));
  }
  return {};
}

Status Retry::again(const HttpOutcome& outcome, const Error& error) {
  const std::string& what = error.message;
  if (!may_pass(outcome)) return error;
  // What may pass helps the one who asks again later, too.
  const ErrorCode code = outcome.failed ? error.code : ErrorCode::kNetwork;
  if (++tried_ >= policy_.attempts) {
    return Error{code, fmt::format("{} (tried {} times without progress)", what, tried_)};
  }
  long pause = policy_.backoff_ms << std::min(tried_ - 1, 10);
  if (!outcome.failed && outcome.reply.retry_after_s > 0) {
    if (outcome.reply.retry_after_s > policy_.longest_wait_ms / 1000) {
      return Error{code, fmt::format("{}; the server asks to wait {} s, more than the {} s allowed", what,
                                     outcome.reply.retry_after_s, policy_.longest_wait_ms / 1000)};
    }
    // Rounded down by the server, so that a second more is on the safe side of a limit's reset.
    pause = outcome.reply.retry_after_s * 1000 + (outcome.reply.rate_limit.empty() ? 0 : 1000);
    return wait(pause, what);
  }
  return wait(std::min(pause, policy_.longest_wait_ms), what);
}

}  // namespace kakeya::hub
