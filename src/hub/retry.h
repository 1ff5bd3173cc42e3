// When a hub's refusal is worth another try, and how long to wait before it.
#pragma once
#include <kakeya/result.h>

#include <functional>
#include <string>

#include "hub/http_client.h"

namespace kakeya::hub {

struct RetryPolicy {
  int attempts = 5;                // without new bytes in between
  long backoff_ms = 1000;          // doubled each time
  long longest_wait_ms = 300'000;  // a server that asks for more is not waited for
};

class Retry {
 public:
  // `cancelled` may be empty.
  Retry(const RetryPolicy& policy, const std::function<bool()>& cancelled)
      : policy_(policy), cancelled_(cancelled) {}

  // After an outcome that is no success: waits and returns, or the error to give up with, which is `error`
  // and the reason to give up. Errors: those, kCancelled.
  Status again(const HttpOutcome& outcome, const Error& error);
  // Bytes came: the attempts count anew.
  void progressed() { tried_ = 0; }

 private:
  Status wait(long ms, const std::string& what);

  const RetryPolicy& policy_;
  const std::function<bool()>& cancelled_;
  int tried_ = 0;
};

}  // namespace kakeya::hub
