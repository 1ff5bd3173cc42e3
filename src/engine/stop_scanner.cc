// The earliest stop string wins; of two at the same place the one that is complete first.
#include "engine/stop_scanner.h"

#include <algorithm>
#include <utility>

namespace kakeya::engine {
namespace {

// Length of the longest end of `text` that a stop string begins with, and is longer than.
std::size_t held_length(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const std::string& stop : stops) {
    for (std::size_t n = std::min(text.size(), stop.size() - 1); n > longest; --n) {
      if (text.ends_with(std::string_view(stop).substr(0, n))) {
        longest = n;
        break;
      }
    }
  }
  return longest;
}

}  // namespace

StopScanner::StopScanner(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopScanner::push(std::string_view piece) {
  if (found_) return {};
  if (stops_.empty()) return std::string(piece);
  held_ += piece;
  std::size_t first = std::string::npos, end = std::string::npos;
  const std::string* which = nullptr;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos || at > first || (at == first && at + stop.size() >= end)) continue;
    first = at;
    end = at + stop.size();
    which = &stop;
  }
  if (which != nullptr) {
    found_ = *which;
    return held_.substr(0, first);
  }
  const std::size_t safe = held_.size() - held_length(held_, stops_);
  std::string out = held_.substr(0, safe);
  held_.erase(0, safe);
  return out;
}

std::string StopScanner::finish() {
  if (found_) return {};
  return std::exchange(held_, {});
}

}  // namespace kakeya::engine
