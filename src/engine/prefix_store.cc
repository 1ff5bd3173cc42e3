// A short list: prefixes are large, so there are few.
#include "engine/prefix_store.h"

#include <algorithm>

namespace kakeya::engine {

std::size_t common_length(std::span<const Token> a, std::span<const Token> b) {
  const std::size_t n = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first - a.begin());
}

void PrefixStore::add(Prefix prefix) {
  if (!fits(prefix.bytes())) return;
  std::erase_if(prefixes_, [&](const Prefix& held) {
    const bool covered = held.kv == prefix.kv && held.draft_kv == prefix.draft_kv &&
                         held.draft_length <= prefix.draft_length &&
                         common_length(held.tokens, prefix.tokens) == held.tokens.size();
    if (covered) bytes_ -= held.bytes();
    return covered;
  });
  bytes_ += prefix.bytes();
  prefixes_.push_front(std::move(prefix));
  while (bytes_ > max_bytes_) {
    bytes_ -= prefixes_.back().bytes();
    prefixes_.pop_back();
  }
}

const Prefix* PrefixStore::find(std::span<const Token> prompt, const std::string& kv,
                                const std::string& draft_kv) {
  auto best = prefixes_.end();
  std::size_t longest = 0;
  for (auto held = prefixes_.begin(); held != prefixes_.end(); ++held) {
    if (held->kv != kv || held->draft_kv != draft_kv) continue;
    const std::size_t common = common_length(held->tokens, prompt);
    if (common <= longest) continue;
    longest = common;
    best = held;
  }
  if (best == prefixes_.end()) return nullptr;
  prefixes_.splice(prefixes_.begin(), prefixes_, best);
  return &prefixes_.front();
}

}  // namespace kakeya::engine
