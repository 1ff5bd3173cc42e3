#include "text/bpe.h"

#include <algorithm>
#include <bit>

namespace kakeya::text {
namespace {

constexpr std::uint32_t kNoRank = 0xffffffffu;
constexpr std::uint32_t kEnd = 0xffffffffu;
constexpr std::uint64_t kEmpty = ~std::uint64_t{0};  // no pair of ids: ids are not negative
constexpr std::size_t kShortPiece = 48;              // below it a scan beats the heap

std::uint64_t pair_key(Token left, Token right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}

// Heap order: lowest rank on top, then leftmost.
bool later(const BytePairEncoder::Scratch::Candidate& a, const BytePairEncoder::Scratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}

}  // namespace

BytePairEncoder::BytePairEncoder(const std::array<Token, 256>& byte_ids, const std::vector<Merge>& merges)
    : byte_ids_(byte_ids) {
  const std::size_t size = std::bit_ceil(2 * merges.size() + 2);
  table_.assign(size, Entry{kEmpty, kNoRank, 0});
  mask_ = size - 1;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t key = pair_key(merges[rank].left, merges[rank].right);
    std::uint64_t slot = mix(key) & mask_;
    while (table_[slot].key != kEmpty && table_[slot].key != key) slot = (slot + 1) & mask_;
    table_[slot] = Entry{key, static_cast<std::uint32_t>(rank), merges[rank].result};
  }
}

const BytePairEncoder::Entry* BytePairEncoder::find(Token left, Token right) const {
  const std::uint64_t key = pair_key(left, right);
  for (std::uint64_t slot = mix(key) & mask_; table_[slot].key != kEmpty; slot = (slot + 1) & mask_) {
    if (table_[slot].key == key) return &table_[slot];
  }
  return nullptr;
}

void BytePairEncoder::encode(std::string_view piece, std::vector<Token>& out, Scratch& scratch) const {
  if (piece.size() == 1) {
    out.push_back(byte_ids_[static_cast<std::uint8_t>(piece[0])]);
    return;
  }
  scratch.ids.clear();
  for (const char c : piece) scratch.ids.push_back(byte_ids_[static_cast<std::uint8_t>(c)]);
  if (piece.size() <= kShortPiece) {
    encode_short(out, scratch);
  } else {
    encode_long(out, scratch);
  }
}

void BytePairEncoder::encode_short(std::vector<Token>& out, Scratch& scratch) const {
  auto& ids = scratch.ids;
  auto& ranks = scratch.ranks;  // ranks[i]: of the pair (i, i + 1)
  const auto rank_at = [&](std::size_t i) {
    const Entry* entry = find(ids[i], ids[i + 1]);
    return entry == nullptr ? kNoRank : entry->rank;
  };
  ranks.clear();
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) ranks.push_back(rank_at(i));
  while (!ranks.empty()) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == kNoRank) break;
    const auto i = static_cast<std::size_t>(best - ranks.begin());
    ids[i] = find(ids[i], ids[i + 1])->result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    ranks.erase(best);
    if (i < ranks.size()) ranks[i] = rank_at(i);
    if (i > 0) ranks[i - 1] = rank_at(i - 1);
  }
  out.insert(out.end(), ids.begin(), ids.end());
}

void BytePairEncoder::push(Scratch& scratch, std::uint32_t at, std::uint32_t next) const {
  const Entry* entry = find(scratch.ids[at], scratch.ids[next]);
  if (entry == nullptr) return;
  scratch.heap.push_back({entry->rank, at, scratch.ids[at], scratch.ids[next]});
}

void BytePairEncoder::encode_long(std::vector<Token>& out, Scratch& scratch) const {
  auto& ids = scratch.ids;
  auto& next = scratch.next;
  auto& previous = scratch.previous;
  auto& heap = scratch.heap;
  const auto n = static_cast<std::uint32_t>(ids.size());
  next.resize(n);
  previous.resize(n);
  heap.clear();
  for (std::uint32_t i = 0; i < n; ++i) {
    next[i] = i + 1 < n ? i + 1 : kEnd;
    previous[i] = i > 0 ? i - 1 : kEnd;
    if (i + 1 < n) push(scratch, i, i + 1);
  }
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Scratch::Candidate best = heap.back();
    heap.pop_back();
    const std::uint32_t right = next[best.at];
    // Stale when either side has been merged since; a swallowed symbol has id -1.
    if (right == kEnd || ids[best.at] != best.left || ids[right] != best.right) continue;
    ids[best.at] = find(best.left, best.right)->result;
    ids[right] = -1;
    const std::uint32_t after = next[right];
    next[best.at] = after;
    if (after != kEnd) {
      previous[after] = best.at;
      const std::size_t before = heap.size();
      push(scratch, best.at, after);
      if (heap.size() > before) std::push_heap(heap.begin(), heap.end(), later);
    }
    if (previous[best.at] != kEnd) {
      const std::size_t before = heap.size();
      push(scratch, previous[best.at], best.at);
      if (heap.size() > before) std::push_heap(heap.begin(), heap.end(), later);
    }
  }
  for (std::uint32_t i = 0; i != kEnd; i = next[i]) out.push_back(ids[i]);
}

}  // namespace kakeya::text
