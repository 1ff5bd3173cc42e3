// The most memory the process held, without the buffers of the benchmark's own probes.
#pragma once
#include <kakeya/speed.h>

#include <algorithm>
#include <cstdint>

namespace kakeya::speed {

class PeakMemory {
 public:
  // The memory that `work` takes and gives back does not count.
  template <class F>
  auto without(F&& work) {
    before_ = bytes();
    struct AtEnd {
      bool& exact;
      ~AtEnd() { exact = reset_peak_memory() && exact; }
    } const at_end{exact_};
    return work();
  }
  std::uint64_t bytes() const { return std::max(before_, process_memory().peak_rss_bytes); }
  // False where the system cannot forget a peak: the probes' buffers are in bytes() then.
  bool exact() const { return exact_; }

 private:
  std::uint64_t before_ = 0;
  bool exact_ = true;
};

}  // namespace kakeya::speed
