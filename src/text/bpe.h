// Byte-pair merging of one piece of text: always the pair of lowest rank, the leftmost among equals.
#pragma once
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kakeya::text {

struct Merge {
  Token left = 0, right = 0, result = 0;
};

class BytePairEncoder {
 public:
  // byte_ids: the id of each single byte; merges in rank order, of equal pairs the last one counts.
  BytePairEncoder(const std::array<Token, 256>& byte_ids, const std::vector<Merge>& merges);

  // Reused between pieces so that short ones allocate nothing.
  struct Scratch {
    std::vector<Token> ids;
    std::vector<std::uint32_t> ranks;
    std::vector<std::uint32_t> next, previous;
    struct Candidate {
      std::uint32_t rank, at;
      Token left, right;
    };
    std::vector<Candidate> heap;
  };
  // Appends the ids of `piece`. n log n in its length.
  void encode(std::string_view piece, std::vector<Token>& out, Scratch& scratch) const;

 private:
  struct Entry {
    std::uint64_t key;
    std::uint32_t rank;
    Token result;
  };
  const Entry* find(Token left, Token right) const;  // null when the pair does not merge
  void encode_short(std::vector<Token>& out, Scratch& scratch) const;
  void encode_long(std::vector<Token>& out, Scratch& scratch) const;
  void push(Scratch& scratch, std::uint32_t at, std::uint32_t next) const;

  std::array<Token, 256> byte_ids_;
  std::vector<Entry> table_;  // open addressing, a power of two, at most half full
  std::uint64_t mask_ = 0;
};

}  // namespace kakeya::text
