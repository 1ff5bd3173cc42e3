// The texts of a vocabulary as a tree over bytes, laid out in the order of a walk. Built once, immutable.
#pragma once
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kakeya::grammar {

class Vocabulary {
 public:
  // One byte of one or more tokens; nodes are in preorder, so `skip` nodes from here the subtree has ended.
  struct TrieNode {
    std::uint32_t skip;
    std::int32_t tokens;  // first in `same`, -1 when no token ends here
    std::uint16_t depth;  // from 1
    std::uint8_t byte;
  };

  // bytes_of[id] is what the token stands for as text; empty for special tokens, gaps and stop ids, which no
  // text can produce. Errors: kUnsupported (no stop id inside the vocabulary, a token beyond 65535 bytes).
  static Result<Vocabulary> create(const std::vector<std::string>& bytes_of, std::vector<Token> stop_ids);

  std::span<const TrieNode> nodes() const { return nodes_; }
  // Ids with equal bytes form a chain that ends with -1.
  Token next_same(Token id) const { return next_same_[id]; }
  std::string_view bytes(Token id) const { return bytes_[id]; }
  const std::vector<Token>& stop_ids() const { return stop_ids_; }
  std::size_t size() const { return bytes_.size(); }
  std::size_t longest() const { return longest_; }
  const std::bitset<256>& single_bytes() const { return single_bytes_; }

 private:
  std::vector<std::string> bytes_;
  std::vector<TrieNode> nodes_;
  std::vector<Token> next_same_, stop_ids_;
  std::size_t longest_ = 0;
  std::bitset<256> single_bytes_;
};

}  // namespace kakeya::grammar
