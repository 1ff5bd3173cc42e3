#include "grammar/vocabulary.h"

#include <algorithm>
#include <numeric>

namespace kakeya::grammar {

Result<Vocabulary> Vocabulary::create(const std::vector<std::string>& bytes_of, std::vector<Token> stop_ids) {
  Vocabulary v;
  v.bytes_ = bytes_of;
  std::erase_if(stop_ids,
                [&](Token id) { return id < 0 || static_cast<std::size_t>(id) >= bytes_of.size(); });
  if (stop_ids.empty()) {
    return unsupported("constraint: the model names no stop token inside its vocabulary of " +
                       std::to_string(bytes_of.size()) + ", expected one that can end a constrained text");
  }
  for (const Token id : stop_ids) v.bytes_[id].clear();
  v.stop_ids_ = std::move(stop_ids);

  std::vector<Token> order;
  for (std::size_t id = 0; id < v.bytes_.size(); ++id) {
    const std::string& bytes = v.bytes_[id];
    if (bytes.empty()) continue;
    if (bytes.size() > 0xffff) {
      return unsupported("constraint: token " + std::to_string(id) + " has " + std::to_string(bytes.size()) +
                         " bytes, expected at most 65535");
    }
    order.push_back(static_cast<Token>(id));
    v.longest_ = std::max(v.longest_, bytes.size());
    if (bytes.size() == 1) v.single_bytes_.set(static_cast<std::uint8_t>(bytes[0]));
  }
  std::sort(order.begin(), order.end(),
            [&](Token a, Token b) { return v.bytes_[a] != v.bytes_[b] ? v.bytes_[a] < v.bytes_[b] : a < b; });

  v.next_same_.assign(v.bytes_.size(), -1);
  std::vector<std::uint32_t> path;  // open nodes, by depth
  const auto close_to = [&](std::size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      v.nodes_[path.back()].skip = static_cast<std::uint32_t>(v.nodes_.size() - path.back());
    }
  };
  const std::string* previous = nullptr;
  for (const Token id : order) {
    const std::string& bytes = v.bytes_[id];
    std::size_t common = 0;
    while (previous != nullptr && common < previous->size() && common < bytes.size() &&
           (*previous)[common] == bytes[common]) {
      ++common;
    }
    close_to(common);
    for (std::size_t i = common; i < bytes.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(v.nodes_.size()));
      v.nodes_.push_back({1, -1, static_cast<std::uint16_t>(i + 1), static_cast<std::uint8_t>(bytes[i])});
    }
    TrieNode& leaf = v.nodes_[path.back()];
    v.next_same_[id] = leaf.tokens;
    leaf.tokens = id;
    previous = &bytes;
  }
  close_to(0);
  return v;
}

}  // namespace kakeya::grammar
