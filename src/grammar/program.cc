#include "grammar/program.h"

#include "grammar/analysis.h"

namespace kakeya::grammar {
namespace {

// Builds nodes from the end of an expression to its front: every part knows what follows it.
class Builder {
 public:
  Builder(const Grammar& grammar, const Analysis& analysis, const ProgramLimits& limits)
      : g_(grammar), a_(analysis), limits_(limits) {}

  Result<Program> build() {
    p_.end = add({});
    std::vector<std::uint32_t> entries(g_.rules().size(), kNoNode);
    for (RuleId r = 0; r < g_.rules().size() && !full_; ++r) {
      if (a_.rule_productive[r]) entries[r] = put(g_.rules()[r].body, p_.end);
    }
    if (full_) {
      return unsupported("grammar: found more than " + std::to_string(limits_.max_nodes) +
                         " automaton nodes, expected a smaller grammar");
    }
    for (Node& node : p_.nodes) {
      if (node.kind == NodeKind::kCall) node.target = entries[node.first];
    }
    p_.start = entries[g_.root];
    classify();
    return std::move(p_);
  }

 private:
  std::uint32_t add(const Node& node) {
    if (p_.nodes.size() >= limits_.max_nodes) {
      full_ = true;
      return 0;
    }
    p_.nodes.push_back(node);
    return static_cast<std::uint32_t>(p_.nodes.size() - 1);
  }

  std::uint32_t bytes_node(ByteRange range, std::uint32_t next) {
    for (int b = range.low; b <= range.high; ++b) p_.needed.set(b);
    Node node;
    node.kind = NodeKind::kBytes;
    node.low = range.low;
    node.high = range.high;
    node.next = next;
    return add(node);
  }

  std::uint32_t split(const std::vector<std::uint32_t>& targets) {
    if (targets.size() == 1) return targets[0];
    Node node;
    node.kind = NodeKind::kSplit;
    node.first = static_cast<std::uint32_t>(p_.targets.size());
    node.count = static_cast<std::uint32_t>(targets.size());
    p_.targets.insert(p_.targets.end(), targets.begin(), targets.end());
    return add(node);
  }

  std::uint32_t put_class(const Expr& e, std::uint32_t next) {
    std::vector<std::uint32_t> branches;
    for (const CodeRange& range : e.ranges) {
      for (const auto& sequence : utf8_sequences(range)) {
        std::uint32_t node = next;
        for (std::size_t i = sequence.size(); i-- > 0 && !full_;) node = bytes_node(sequence[i], node);
        branches.push_back(node);
      }
    }
    return split(branches);
  }

  std::uint32_t put_repeat(const Expr& e, std::uint32_t next) {
    const ExprId child = e.children[0];
    if (e.max == 0 || !a_.productive[child]) return next;
    // An empty round adds nothing, so a body that can be empty may as well not come at all.
    const std::uint32_t min = a_.nullable[child] ? 0 : e.min;
    if (min == 0 && e.max == 1) return split({put(child, next), next});
    if (min <= 1 && e.max == kUnbounded) {
      Node node;
      node.kind = NodeKind::kSplit;
      node.count = 2;
      const std::uint32_t loop = add(node);
      const std::uint32_t body = put(child, loop);
      if (full_) return 0;
      p_.nodes[loop].first = static_cast<std::uint32_t>(p_.targets.size());
      p_.targets.push_back(body);
      p_.targets.push_back(next);
      return min == 0 ? loop : body;
    }
    Node node;
    node.kind = NodeKind::kRepeat;
    node.target = put(child, p_.end);
    node.next = next;
    node.min = min;
    node.max = e.max;
    return add(node);
  }

  std::uint32_t put_until(const Expr& e, std::uint32_t next) {
    Marker marker;
    marker.bytes = e.bytes;
    const std::size_t n = e.bytes.size();
    marker.step.resize(n);
    std::size_t fallback = 0;  // where a mismatch at `i` goes on
    for (std::size_t i = 0; i < n; ++i) {
      const auto byte = static_cast<std::uint8_t>(e.bytes[i]);
      if (i > 0) marker.step[i] = marker.step[fallback];
      marker.step[i][byte] = static_cast<std::uint16_t>(i + 1);
      if (i > 0) fallback = marker.step[fallback][byte];
    }
    Node node;
    node.kind = NodeKind::kUntil;
    node.first = static_cast<std::uint32_t>(p_.markers.size());
    p_.markers.push_back(std::move(marker));
    node.next = e.kind == ExprKind::kUntil ? next : kNoNode;
    node.target = e.kind == ExprKind::kUntil ? kNoNode : next;
    return add(node);
  }

  std::uint32_t put(ExprId id, std::uint32_t next) {
    if (full_) return 0;
    const Expr& e = g_.expr(id);
    switch (e.kind) {
      case ExprKind::kLiteral:
        for (std::size_t i = e.bytes.size(); i-- > 0 && !full_;) {
          const auto byte = static_cast<std::uint8_t>(e.bytes[i]);
          next = bytes_node({byte, byte}, next);
        }
        return next;
      case ExprKind::kClass:
        return put_class(e, next);
      case ExprKind::kSeq:
        for (std::size_t i = e.children.size(); i-- > 0;) next = put(e.children[i], next);
        return next;
      case ExprKind::kAlt: {
        std::vector<std::uint32_t> branches;
        for (const ExprId c : e.children) {
          if (a_.productive[c]) branches.push_back(put(c, next));
        }
        return split(branches);
      }
      case ExprKind::kRepeat:
        return put_repeat(e, next);
      case ExprKind::kRule: {
        Node node;
        node.kind = NodeKind::kCall;
        node.first = e.rule;
        node.next = next;
        return add(node);
      }
      case ExprKind::kUntil:
      case ExprKind::kFreeEnd:
        return put_until(e, next);
    }
    return next;
  }

  // Bytes that no range and no marker tells apart behave alike in every state.
  void classify() {
    std::bitset<257> starts;
    starts.set(0);
    for (const Node& node : p_.nodes) {
      if (node.kind != NodeKind::kBytes) continue;
      starts.set(node.low);
      starts.set(node.high + 1u);
    }
    for (const Marker& marker : p_.markers) {
      for (const char c : marker.bytes) {
        starts.set(static_cast<std::uint8_t>(c));
        starts.set(static_cast<std::uint8_t>(c) + 1u);
      }
    }
    for (unsigned b = 0; b < 256; ++b) {
      if (starts.test(b)) p_.class_byte.push_back(static_cast<std::uint8_t>(b));
      p_.byte_class[b] = static_cast<std::uint8_t>(p_.class_byte.size() - 1);
    }
  }

  const Grammar& g_;
  const Analysis& a_;
  const ProgramLimits& limits_;
  Program p_;
  bool full_ = false;
};

}  // namespace

Result<Program> compile(const Grammar& grammar, const ProgramLimits& limits) {
  if (grammar.rules().size() > limits.max_rules) {
    return unsupported("grammar: found " + std::to_string(grammar.rules().size()) +
                       " rules, expected at most " + std::to_string(limits.max_rules));
  }
  for (const Rule& rule : grammar.rules()) {
    if (rule.body == kNoExpr) return invalid_argument("grammar: rule '" + rule.name + "' has no body");
  }
  for (const Expr& e : grammar.exprs()) {
    const bool marker = e.kind == ExprKind::kUntil || e.kind == ExprKind::kFreeEnd;
    if (marker && (e.bytes.empty() || e.bytes.size() > limits.max_marker)) {
      return invalid_argument("grammar: a marker of " + std::to_string(e.bytes.size()) +
                              " bytes, expected 1 to " + std::to_string(limits.max_marker));
    }
  }
  KAKEYA_ASSIGN(const Analysis analysis, analyse(grammar, limits.max_depth));
  if (!analysis.rule_productive[grammar.root]) {
    return invalid_argument("grammar: '" + grammar.rules()[grammar.root].name +
                            "' matches no finite text: every way through it calls itself or an empty class");
  }
  return Builder(grammar, analysis, limits).build();
}

}  // namespace kakeya::grammar
