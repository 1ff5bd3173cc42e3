// Prefixes that no slot holds any more, as packed rows in memory: the least recently used go first.
#pragma once
#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <vector>

#include <kakeya/token.h>

namespace kakeya::engine {

struct Prefix {
  std::string kv, draft_kv;  // channels
  std::vector<Token> tokens;
  std::size_t draft_length = 0;
  std::vector<std::byte> rows, draft_rows;  // kv::Cache::save_rows of all tokens, and of draft_length

  std::size_t bytes() const { return rows.size() + draft_rows.size() + tokens.size() * sizeof(Token); }
};

std::size_t common_length(std::span<const Token> a, std::span<const Token> b);

class PrefixStore {
 public:
  explicit PrefixStore(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // Whether add() would keep so many bytes.
  bool fits(std::size_t bytes) const { return bytes <= max_bytes_; }
  // Prefixes that are a beginning of this one, in the same channels, are dropped.
  void add(Prefix prefix);
  // The one that shares most tokens with `prompt`, or null; it counts as used. Valid until the next add().
  const Prefix* find(std::span<const Token> prompt, const std::string& kv, const std::string& draft_kv);
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return prefixes_.size(); }

 private:
  std::size_t max_bytes_, bytes_ = 0;
  std::list<Prefix> prefixes_;  // most recently used first
};

}  // namespace kakeya::engine
