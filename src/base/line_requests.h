// Lines of memory that will be read soon, asked into the second-level cache from several places by turns
// (docs/decisions/0015-attention-fetches.md): one long stretch keeps too little of the memory busy.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace kakeya::base {

class LineRequests {
 public:
  static constexpr std::size_t kMostPlaces = 8;

  // Nothing is wanted any more; places to come are `bytes` long. All of them is asked for by as many bytes of
  // LineAsker::ask as there are.
  void start(std::size_t bytes) { *this = {}, bytes_ = bytes; }
  // At most kMostPlaces. No byte of it is read: any address will do.
  void add(const void* place) {
    if (count_ > 0) places_[count_ - 1].after = count_, places_[count_ - 1].step = 0;
    places_[count_++] = {static_cast<const char*>(place), 0, kLine};
  }

 private:
  friend class LineAsker;
  static constexpr std::uint32_t kLine = 64;
  struct Place {
    const char* start = nullptr;
    std::uint32_t after = 0, step = 0;  // whose turn is next, and how much further from its start
  };
  struct Next {
    std::size_t turn = 0, at = 0;  // the next line: of this place, so many bytes from its start
    std::size_t due = 0;           // bytes that were not yet a line
  };

  std::array<Place, kMostPlaces> places_{};
  std::uint32_t count_ = 0;
  std::size_t bytes_ = 0;
  Next next_;
};

// Asks for the lines that a caller wants, who may want none (null), during one call. Where they stand is kept
// here meanwhile, in registers: what is stored through a pointer to bytes might change an object elsewhere,
// and every store would have it loaded again. All is inlined, so that no function shared with other files is
// built for more than the program's own target.
class LineAsker {
 public:
  __attribute__((always_inline)) explicit LineAsker(LineRequests* wanted) : wanted_(wanted) {
    if (wanted == nullptr || wanted->count_ == 0) return;
    places_ = wanted->places_.data();
    length_ = wanted->bytes_;
    next_ = wanted->next_;
  }
  __attribute__((always_inline)) ~LineAsker() {
    if (places_ != nullptr) wanted_->next_ = next_;
  }
  LineAsker(const LineAsker&) = delete;
  LineAsker& operator=(const LineAsker&) = delete;

  // Asks for as many lines as `bytes` fill.
  __attribute__((always_inline)) void ask(std::size_t bytes) {
    for (std::size_t lines = fill(bytes); lines > 0; --lines) ask_one();
  }
  // The same in parts: how many lines are due after `bytes` more, and one of them.
  __attribute__((always_inline)) std::size_t fill(std::size_t bytes) {
    next_.due += bytes;
    const std::size_t lines = next_.due / LineRequests::kLine;
    next_.due %= LineRequests::kLine;
    return lines;
  }
  __attribute__((always_inline)) void ask_one() {
    if (next_.at >= length_) return;
    const LineRequests::Place& place = places_[next_.turn];
    __builtin_prefetch(place.start + next_.at, 0, 2);
    next_.at += place.step;
    next_.turn = place.after;
  }

 private:
  LineRequests* wanted_;
  const LineRequests::Place* places_ = nullptr;
  std::size_t length_ = 0;  // 0: nothing to ask for
  LineRequests::Next next_;
};

}  // namespace kakeya::base
