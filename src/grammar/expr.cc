#include "grammar/expr.h"

#include <algorithm>

namespace kakeya::grammar {

namespace {
constexpr std::uint32_t kLastCode = 0x10ffff, kFirstSurrogate = 0xd800, kLastSurrogate = 0xdfff;
}  // namespace

ExprId Grammar::add(Expr expr) {
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId Grammar::literal(std::string_view bytes) {
  Expr e;
  e.bytes = bytes;
  return add(std::move(e));
}

ExprId Grammar::one_of(std::vector<CodeRange> ranges) {
  Expr e;
  e.kind = ExprKind::kClass;
  e.ranges = normalised(std::move(ranges));
  return add(std::move(e));
}

ExprId Grammar::none_of(std::vector<CodeRange> ranges) {
  return one_of(complement(normalised(std::move(ranges))));
}

ExprId Grammar::seq(std::vector<ExprId> children) {
  if (children.size() == 1) return children[0];
  Expr e;
  e.kind = ExprKind::kSeq;
  e.children = std::move(children);
  return add(std::move(e));
}

ExprId Grammar::alt(std::vector<ExprId> children) {
  if (children.size() == 1) return children[0];
  Expr e;
  e.kind = ExprKind::kAlt;
  e.children = std::move(children);
  return add(std::move(e));
}

ExprId Grammar::repeat(ExprId child, std::uint32_t min, std::uint32_t max) {
  if (min == 1 && max == 1) return child;
  Expr e;
  e.kind = ExprKind::kRepeat;
  e.children = {child};
  e.min = min;
  e.max = max;
  return add(std::move(e));
}

ExprId Grammar::until(std::string_view marker) {
  Expr e;
  e.kind = ExprKind::kUntil;
  e.bytes = marker;
  return add(std::move(e));
}

ExprId Grammar::free_end(std::string_view marker) {
  Expr e;
  e.kind = ExprKind::kFreeEnd;
  e.bytes = marker;
  return add(std::move(e));
}

ExprId Grammar::call(RuleId rule) {
  Expr e;
  e.kind = ExprKind::kRule;
  e.rule = rule;
  return add(std::move(e));
}

RuleId Grammar::add_rule(std::string name) {
  rules_.push_back({std::move(name), kNoExpr});
  return static_cast<RuleId>(rules_.size() - 1);
}

ExprId Grammar::any_text(const std::vector<std::string>& texts) {
  std::vector<std::string> sorted = texts;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return add_texts(sorted, 0, sorted.size(), 0);
}

// sorted[from, to) agree in their first `at` bytes.
ExprId Grammar::add_texts(const std::vector<std::string>& sorted, std::size_t from, std::size_t to,
                          std::size_t at) {
  if (to - from == 1) return literal(std::string_view(sorted[from]).substr(at));
  std::vector<ExprId> branches;
  while (from < to && sorted[from].size() == at) {
    branches.push_back(empty());
    ++from;
  }
  while (from < to) {
    std::size_t group = from + 1;
    while (group < to && sorted[group][at] == sorted[from][at]) ++group;
    const std::string &first = sorted[from], &last = sorted[group - 1];
    std::size_t common = at + 1;  // sorted: what first and last share, all share
    while (common < first.size() && common < last.size() && first[common] == last[common]) ++common;
    const ExprId head = literal(std::string_view(first).substr(at, common - at));
    branches.push_back(group - from == 1 ? literal(std::string_view(first).substr(at))
                                         : seq({head, add_texts(sorted, from, group, common)}));
    from = group;
  }
  return alt(std::move(branches));
}

std::vector<CodeRange> normalised(std::vector<CodeRange> ranges) {
  std::vector<CodeRange> parts;
  for (const CodeRange& r : ranges) {
    const std::uint32_t high = std::min(r.high, kLastCode);
    if (r.low > high) continue;
    if (r.low < kFirstSurrogate) parts.push_back({r.low, std::min(high, kFirstSurrogate - 1)});
    if (high > kLastSurrogate) parts.push_back({std::max(r.low, kLastSurrogate + 1), high});
  }
  std::sort(parts.begin(), parts.end(), [](const CodeRange& a, const CodeRange& b) { return a.low < b.low; });
  std::vector<CodeRange> out;
  for (const CodeRange& r : parts) {
    if (!out.empty() && r.low <= out.back().high + 1) {
      out.back().high = std::max(out.back().high, r.high);
    } else {
      out.push_back(r);
    }
  }
  return out;
}

std::vector<CodeRange> complement(const std::vector<CodeRange>& normal) {
  std::vector<CodeRange> out;
  std::uint32_t next = 0;
  for (const CodeRange& r : normal) {
    if (r.low > next) out.push_back({next, r.low - 1});
    next = r.high + 1;
  }
  if (next <= kLastCode) out.push_back({next, kLastCode});
  return normalised(std::move(out));
}

namespace {

// Both bounds have `length` bytes in UTF-8; splits until every byte range is a full product.
void split_utf8(std::uint32_t low, std::uint32_t high, int length, std::vector<std::vector<ByteRange>>& out) {
  for (int tail = length - 1; tail > 0; --tail) {  // bytes that must run over all of 80..BF
    const std::uint32_t mask = (1u << (6 * tail)) - 1;
    if ((low & ~mask) == (high & ~mask)) continue;
    if ((low & mask) != 0) {
      split_utf8(low, low | mask, length, out);
      split_utf8((low | mask) + 1, high, length, out);
      return;
    }
    if ((high & mask) != mask) {
      split_utf8(low, (high & ~mask) - 1, length, out);
      split_utf8(high & ~mask, high, length, out);
      return;
    }
  }
  static constexpr std::uint8_t kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  std::vector<ByteRange> sequence;
  for (int i = 0; i < length; ++i) {
    const int shift = 6 * (length - 1 - i);
    const std::uint32_t lead = i == 0 ? kLead[length] : 0x80;
    const std::uint32_t bits = i == 0 ? 0xff : 0x3f;
    sequence.push_back({static_cast<std::uint8_t>(lead | ((low >> shift) & bits)),
                        static_cast<std::uint8_t>(lead | ((high >> shift) & bits))});
  }
  out.push_back(std::move(sequence));
}

}  // namespace

std::vector<std::vector<ByteRange>> utf8_sequences(CodeRange range) {
  static constexpr std::uint32_t kLast[] = {0, 0x7f, 0x7ff, 0xffff, kLastCode};
  std::vector<std::vector<ByteRange>> out;
  for (int length = 1; length <= 4; ++length) {
    const std::uint32_t first = length == 1 ? 0 : kLast[length - 1] + 1;
    const std::uint32_t low = std::max(range.low, first), high = std::min(range.high, kLast[length]);
    if (low <= high) split_utf8(low, high, length, out);
  }
  return out;
}

}  // namespace kakeya::grammar
