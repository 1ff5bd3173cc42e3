#include "text/added_tokens.h"

#include <algorithm>

#include "text/utf8.h"

namespace kakeya::text {
namespace {

// Where the white space at the end of `text` begins.
std::size_t trailing_space(std::string_view text) {
  while (!text.empty()) {
    const std::size_t at = last_code_point(text);
    const Utf8Step step = next_utf8(text.substr(at));
    if (!step.valid || !is_unicode_space(step.code)) break;
    text.remove_suffix(text.size() - at);
  }
  return text.size();
}

std::size_t leading_space(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (!step.valid || !is_unicode_space(step.code)) break;
    at += step.length;
  }
  return at;
}

bool word_touches(std::string_view before, std::string_view after) {
  const Utf8Step left = next_utf8(before.substr(last_code_point(before)));
  const Utf8Step right = next_utf8(after);
  return (left.valid && is_word_character(left.code)) || (right.valid && is_word_character(right.code));
}

}  // namespace

void AddedTokenMatcher::add(const formats::AddedToken& token, std::string_view pattern) {
  if (pattern.empty()) return;
  std::uint32_t at = 0;
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t child = 0;
    for (const auto& [label, node] : nodes_[at].children) {
      if (label == byte) child = node;
    }
    if (child == 0) {
      child = static_cast<std::uint32_t>(nodes_.size());
      nodes_[at].children.emplace_back(byte, child);
      nodes_.emplace_back();
    }
    at = child;
  }
  first_byte_[static_cast<unsigned char>(pattern[0])] = true;
  nodes_[at].token = static_cast<int>(tokens_.size());
  tokens_.push_back(token);
}

AddedTokenMatcher::Match AddedTokenMatcher::longest_at(std::string_view text) const {
  Match best;
  std::uint32_t at = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint32_t child = 0;
    for (const auto& [label, node] : nodes_[at].children) {
      if (label == static_cast<unsigned char>(text[i])) child = node;
    }
    if (child == 0) break;
    at = child;
    if (nodes_[at].token >= 0) best = {i + 1, nodes_[at].token};
  }
  return best;
}

void AddedTokenMatcher::split(std::string_view text, std::span<const TextSpan> ordinary,
                              const Sink& sink) const {
  std::size_t done = 0;  // everything before it went to the sink
  std::size_t at = 0;
  while (at < text.size()) {
    if (!first_byte_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const Match match = longest_at(text.substr(at));
    if (match.token < 0) {
      ++at;
      continue;
    }
    const formats::AddedToken& token = tokens_[static_cast<std::size_t>(match.token)];
    std::size_t begin = at, end = at + match.length;
    while (!ordinary.empty() && ordinary.front().end <= begin) ordinary = ordinary.subspan(1);
    if (token.special && !ordinary.empty() && ordinary.front().begin < end) {
      const bool inside = ordinary.front().begin <= begin && end <= ordinary.front().end;
      at = inside ? end : begin + 1;
      continue;
    }
    at = end;
    if (token.single_word && word_touches(text.substr(0, begin), text.substr(end))) continue;
    if (token.lstrip) begin = done + trailing_space(text.substr(done, begin - done));
    if (token.rstrip) end += leading_space(text.substr(end));
    if (begin > done) sink(std::nullopt, text.substr(done, begin - done));
    sink(token.id, text.substr(begin, end - begin));
    done = end;
    at = std::max(at, end);
  }
  if (done < text.size()) sink(std::nullopt, text.substr(done));
}

}  // namespace kakeya::text
