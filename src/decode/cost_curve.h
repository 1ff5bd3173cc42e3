// What passes cost on this machine now: milliseconds of a pass of the target by rows, of the draft by block,
// of observing by rows. Learned from the passes that serve tokens; none is run to measure.
//
// Each point is a low quantile of its last samples, the second fastest of five: a core that is taken away for
// some passes leaves no trace, a lasting change is followed after four samples, and of up to three samples
// the fastest counts.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

namespace kakeya::decode {

class TimeWindow {
 public:
  void add(double ms, std::uint64_t stamp);
  double typical() const { return typical_; }  // not when empty
  std::size_t size() const { return size_; }
  std::uint64_t stamp() const { return stamp_; }  // of the newest sample
  void clear() { size_ = next_ = 0; }
  void scale(double factor);

 private:
  static constexpr std::size_t kSamples = 5;
  std::array<double, kSamples> samples_{};
  std::size_t size_ = 0, next_ = 0;
  std::uint64_t stamp_ = 0;
  double typical_ = 0;  // asked far more often than it changes
};

struct CostPoint {
  std::size_t work = 0;
  double ms = 0;
};

// Times by an amount of work. Between measured points linear; more work never takes less.
class TimeTable {
 public:
  void add(std::size_t work, double ms, std::uint64_t stamp) { windows_[work].add(ms, stamp); }
  bool empty() const { return windows_.empty(); }
  std::size_t samples(std::size_t work) const;
  // `first` is a point before all measured ones; work 0 = there is none, then less work than ever measured
  // takes as long as the least that was. Beyond the last point the time rises by `slope_ms` per unit.
  double at(std::size_t work, double slope_ms, CostPoint first = {}) const;
  // The fastest among the points that got a sample after `stamp`, or `otherwise`.
  double fastest_since(std::uint64_t stamp, double otherwise) const;
  void drop_unconfirmed();  // points of less than three samples
  // Points without a sample after `stamp` change by `factor`.
  void scale_older(std::uint64_t stamp, double factor);

 private:
  std::map<std::size_t, TimeWindow> windows_;
};

class CostCurve {
 public:
  void add_target(std::size_t rows, double ms);  // rows 1: a plain step
  void add_draft(std::size_t block, double ms);
  void add_observe(std::size_t rows, double ms);
  void add_shared(std::size_t rows, double ms);  // a pass over rows of several sequences
  void take_shared(const CostCurve& other) { shared_ = other.shared_; }

  // From here on plain steps are measured anew: at the start of a request, and when the context has grown.
  // Until enough of them are in, the old time counts. Then points that were not measured since the last
  // refresh change by the same factor as the plain step.
  void refresh_plain();
  bool plain_known() const { return plain_ms_ > 0; }
  bool measuring() const { return refreshing_; }
  // Guesses take the place of what was measured only once or twice, perhaps in a slow moment.
  void drop_unconfirmed();

  // All below: only when plain_known().
  double plain_ms() const { return pooled_plain_ms_; }
  // A newer pass of several rows took less than the plain steps: they were measured in a slow moment.
  bool plain_in_doubt() const { return plain_ms() < plain_ms_; }
  // `sure` asks for a bound instead of a guess where nothing was measured.
  double target_ms(std::size_t rows, bool sure = false) const;
  double draft_ms(std::size_t block, bool sure = false) const;
  double observe_ms(std::size_t rows, bool sure = false) const;
  double shared_ms(std::size_t rows) const;  // as target_ms, of several sequences
  // Whether a cycle of that width was measured more than once.
  bool confirmed(std::size_t width) const;

 private:
  void add_plain(double ms);
  void pool_plain();
  // The first sample of a point is believed up to twice its bound: nothing else would ever correct it.
  double believed(const TimeTable& table, std::size_t work, double ms, double bound_ms) const;

  TimeWindow plain_;
  TimeTable target_, draft_, observe_, shared_;  // target_, shared_: two rows and more
  double plain_ms_ = 0;                          // 0 = never measured
  double pooled_plain_ms_ = 0;                   // plain_ms_, or a newer and faster pass of several rows
  double before_ms_ = 0;                         // plain_ms_ when the refresh began
  bool refreshing_ = true;
  std::uint64_t stamp_ = 0, refreshed_ = 0;
};

}  // namespace kakeya::decode
