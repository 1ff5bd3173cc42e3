// Machine's second half: states -> sets of tokens.
#include <algorithm>

#include "grammar/machine.h"

namespace kakeya::grammar {
namespace {

void set_bit(std::vector<std::uint64_t>& bits, Token id) { bits[id / 64] |= std::uint64_t{1} << (id % 64); }

}  // namespace

void Machine::fill(StateId state, std::span<std::uint64_t> bits) {
  const State& s = states_[state];
  std::vector<std::uint32_t> key;
  key.reserve(s.count + 1);
  for (std::uint32_t i = 0; i < s.count; ++i) key.push_back(canonical(state_frames_[s.first + i]));
  key.push_back(s.accept ? 1 : 0);
  auto found = masks_.find(key);
  if (found == masks_.end()) {
    if (masks_.size() >= limits_.max_masks) masks_.clear();
    std::vector<std::uint64_t> mask((vocabulary_->size() + 63) / 64, 0);
    walk(state, mask);
    found = masks_.emplace(std::move(key), std::move(mask)).first;
  }
  const std::size_t words = std::min(bits.size(), found->second.size());
  std::copy_n(found->second.begin(), words, bits.begin());
  std::fill(bits.begin() + static_cast<std::ptrdiff_t>(words), bits.end(), 0);
}

void Machine::walk(StateId state, std::vector<std::uint64_t>& bits) {
  const Vocabulary& v = *vocabulary_;
  if (states_[state].accept) {
    for (const Token id : v.stop_ids()) set_bit(bits, id);
  }
  const auto nodes = v.nodes();
  const auto set_tokens = [&](Token id) {
    for (; id >= 0; id = v.next_same(id)) set_bit(bits, id);
  };
  // Single bytes first and always: whatever the budget, some token can follow.
  for (std::size_t i = 0; i < nodes.size(); i += nodes[i].skip) {
    if (nodes[i].tokens >= 0 && step(state, nodes[i].byte) != kDeadState) set_tokens(nodes[i].tokens);
  }
  path_[0] = state;
  std::uint64_t spent = 0;
  for (std::size_t i = 0; i < nodes.size();) {
    const Vocabulary::TrieNode& node = nodes[i];
    const StateId next = step(path_[node.depth - 1], node.byte);
    spent += states_[next].cost + 1;
    if (next == kDeadState || spent > limits_.max_walk) {
      i += node.skip;
      continue;
    }
    if (node.tokens >= 0) set_tokens(node.tokens);
    path_[node.depth] = next;
    ++i;
  }
}

}  // namespace kakeya::grammar
