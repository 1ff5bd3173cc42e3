// Waiting requests. Clients take turns; a client's own requests keep their order.
#pragma once
#include <algorithm>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <utility>

namespace kakeya::engine {

template <class T>
class FairQueue {
 public:
  void push(const std::string& client, T item) {
    ++size_;
    for (auto& line : lines_) {
      if (line.first != client) continue;
      line.second.push_back(std::move(item));
      return;
    }
    lines_.emplace_back(client, std::deque<T>());
    lines_.back().second.push_back(std::move(item));
  }

  // The first item that `fits`, of the client whose turn it is first; later items of a client whose first one
  // does not fit wait behind it.
  template <class F>
  std::optional<T> pop(F&& fits) {
    for (auto line = lines_.begin(); line != lines_.end(); ++line) {
      if (!fits(line->second.front())) continue;
      T item = std::move(line->second.front());
      line->second.pop_front();
      --size_;
      if (line->second.empty()) {
        lines_.erase(line);
      } else {
        lines_.splice(lines_.end(), lines_, line);
      }
      return item;
    }
    return std::nullopt;
  }

  // Takes out every item that `unwanted` says yes to and hands it to `taken`.
  template <class F, class G>
  void remove_if(F&& unwanted, G&& taken) {
    for (auto line = lines_.begin(); line != lines_.end();) {
      auto& items = line->second;
      for (auto item = items.begin(); item != items.end();) {
        if (!unwanted(*item)) {
          ++item;
          continue;
        }
        taken(*item);
        item = items.erase(item);
        --size_;
      }
      line = items.empty() ? lines_.erase(line) : std::next(line);
    }
  }

  template <class F>
  bool any_of(F&& wanted) const {
    for (const auto& line : lines_) {
      for (const T& item : line.second) {
        if (wanted(item)) return true;
      }
    }
    return false;
  }

  std::size_t size() const { return size_; }

 private:
  std::list<std::pair<std::string, std::deque<T>>> lines_;  // in the order of their turns; none is empty
  std::size_t size_ = 0;
};

}  // namespace kakeya::engine
