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

  // Nothing is wanted any more; places to come are `bytes` long. All of them is asked for by as many ask()
  // as there are bytes.
  void start(std::size_t bytes) { *this = {}, length_ = bytes; }
  // At most kMostPlaces. No byte of it is read: any address will do.
  void add(const void* place) { places_[count_++] = static_cast<const char*>(place); }

  // Asks for as many lines as `bytes` fill. Inlined, so that no function shared with other files is built for
  // more than the program's own target.
  __attribute__((always_inline)) void ask(std::size_t bytes) {
    if (at_ >= length_ || count_ == 0) return;
    for (due_ += bytes; due_ >= kLine; due_ -= kLine) {
      __builtin_prefetch(places_[turn_] + at_, 0, 2);
      if (++turn_ < count_) continue;
      turn_ = 0;
      at_ += kLine;
    }
  }

 private:
  static constexpr std::size_t kLine = 64;

  std::array<const char*, kMostPlaces> places_{};
  std::size_t count_ = 0, length_ = 0;
  std::size_t turn_ = 0, at_ = 0;  // the next line: of this place, so many bytes from its start
  std::size_t due_ = 0;            // bytes of ask() that were not yet a line
};

}  // namespace kakeya::base
