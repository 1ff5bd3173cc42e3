#include "grammar/analysis.h"

#include <algorithm>
#include <string>

namespace kakeya::grammar {
namespace {

// Children have smaller ids than their parents (the arena is filled bottom-up), so one pass in order of ids
// sees children first.
void update(const Grammar& g, Analysis& a, ExprId id) {
  const Expr& e = g.expr(id);
  bool nullable = false, productive = true;
  switch (e.kind) {
    case ExprKind::kLiteral:
      nullable = e.bytes.empty();
      break;
    case ExprKind::kClass:
      productive = !e.ranges.empty();
      break;
    case ExprKind::kSeq:
      nullable = true;
      for (const ExprId c : e.children) {
        nullable = nullable && a.nullable[c];
        productive = productive && a.productive[c];
      }
      break;
    case ExprKind::kAlt:
      productive = false;
      for (const ExprId c : e.children) {
        nullable = nullable || a.nullable[c];
        productive = productive || a.productive[c];
      }
      break;
    case ExprKind::kRepeat:
      nullable = e.min == 0 || e.max == 0 || a.nullable[e.children[0]];
      productive = e.min == 0 || e.max == 0 || a.productive[e.children[0]];
      break;
    case ExprKind::kRule:
      nullable = a.rule_nullable[e.rule];
      productive = a.rule_productive[e.rule];
      break;
    case ExprKind::kUntil:
      break;
    case ExprKind::kFreeEnd:
      nullable = true;
      break;
  }
  a.nullable[id] = nullable;
  a.productive[id] = productive;
}

// Rules that `id` may begin with, before any byte is read.
void collect_first(const Grammar& g, const Analysis& a, ExprId id, std::vector<RuleId>& out) {
  std::vector<ExprId> work{id};
  while (!work.empty()) {
    const Expr& e = g.expr(work.back());
    work.pop_back();
    if (e.kind == ExprKind::kRule) out.push_back(e.rule);
    if (e.kind == ExprKind::kAlt || (e.kind == ExprKind::kRepeat && e.max > 0)) {
      work.insert(work.end(), e.children.begin(), e.children.end());
    }
    if (e.kind == ExprKind::kSeq) {
      for (const ExprId c : e.children) {
        work.push_back(c);
        if (!a.nullable[c]) break;
      }
    }
  }
}

Status refuse_left_recursion(const Grammar& g, const Analysis& a) {
  const std::size_t n = g.rules().size();
  std::vector<std::vector<RuleId>> first(n);
  for (std::size_t r = 0; r < n; ++r) {
    collect_first(g, a, g.rules()[r].body, first[r]);
    std::sort(first[r].begin(), first[r].end());
    first[r].erase(std::unique(first[r].begin(), first[r].end()), first[r].end());
  }
  enum : char { kNew, kOpen, kDone };
  std::vector<char> mark(n, kNew);
  std::vector<std::pair<RuleId, std::size_t>> path;
  for (RuleId r = 0; r < n; ++r) {
    if (mark[r] != kNew) continue;
    path.emplace_back(r, 0);
    mark[r] = kOpen;
    while (!path.empty()) {
      auto& [rule, at] = path.back();
      if (at == first[rule].size()) {
        mark[rule] = kDone;
        path.pop_back();
        continue;
      }
      const RuleId next = first[rule][at++];
      if (mark[next] == kOpen) {
        return invalid_argument("grammar: rule '" + g.rules()[next].name +
                                "' begins with itself (left recursion), expected a byte before the rule "
                                "comes again");
      }
      if (mark[next] == kNew) {
        mark[next] = kOpen;
        path.emplace_back(next, 0);
      }
    }
  }
  return {};
}

}  // namespace

Result<Analysis> analyse(const Grammar& grammar, std::size_t max_depth) {
  const std::size_t n = grammar.exprs().size(), rules = grammar.rules().size();
  std::vector<std::uint32_t> depth(n, 1);
  for (std::size_t id = 0; id < n; ++id) {
    for (const ExprId c : grammar.exprs()[id].children) depth[id] = std::max(depth[id], depth[c] + 1);
    if (depth[id] > max_depth) {
      return unsupported("grammar: expressions nest deeper than " + std::to_string(max_depth));
    }
  }
  Analysis a;
  a.nullable.assign(n, false);
  a.productive.assign(n, false);
  a.rule_nullable.assign(rules, false);
  a.rule_productive.assign(rules, false);
  // Rules whose value changed wake the rules that call them, so the work is linear in the references.
  std::vector<std::vector<ExprId>> uses(rules);
  std::vector<std::vector<ExprId>> parents(n);
  std::vector<std::vector<RuleId>> bodies(n);
  for (ExprId id = 0; id < n; ++id) {
    const Expr& e = grammar.expr(id);
    if (e.kind == ExprKind::kRule) uses[e.rule].push_back(id);
    for (const ExprId c : e.children) parents[c].push_back(id);
  }
  for (RuleId r = 0; r < rules; ++r) bodies[grammar.rules()[r].body].push_back(r);
  std::vector<ExprId> work;
  for (ExprId id = 0; id < n; ++id) {
    update(grammar, a, id);
    for (const RuleId r : bodies[id]) {
      a.rule_nullable[r] = a.nullable[id];
      a.rule_productive[r] = a.productive[id];
    }
  }
  for (ExprId id = 0; id < n; ++id) {
    if (grammar.expr(id).kind == ExprKind::kRule) work.push_back(id);
  }
  while (!work.empty()) {
    const ExprId id = work.back();
    work.pop_back();
    const bool was_nullable = a.nullable[id], was_productive = a.productive[id];
    if (was_nullable && was_productive) continue;  // both only ever become true
    update(grammar, a, id);
    if (was_nullable == a.nullable[id] && was_productive == a.productive[id]) continue;
    work.insert(work.end(), parents[id].begin(), parents[id].end());
    for (const RuleId r : bodies[id]) {
      a.rule_nullable[r] = a.nullable[id];
      a.rule_productive[r] = a.productive[id];
      work.insert(work.end(), uses[r].begin(), uses[r].end());
    }
  }
  KAKEYA_TRY(refuse_left_recursion(grammar, a));
  return a;
}

}  // namespace kakeya::grammar
