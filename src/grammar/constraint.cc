#include "grammar/constraint.h"

#include <algorithm>

#include "base/check.h"
#include "grammar/gbnf.h"
#include "grammar/schema.h"
#include "grammar/tool_calls.h"

namespace kakeya::grammar {
namespace {

constexpr std::size_t kKeptPrograms = 8, kKeptMachines = 2;

Result<ExprId> inner_expression(const ConstraintSpec& spec, Grammar& g) {
  JsonRules json(g);
  switch (spec.kind) {
    case ConstraintKind::kJsonObject:
      return json.any_object(kAnyDepth);
    case ConstraintKind::kJsonSchema:
      return schema_expression("schema", spec.text, g, json);
    case ConstraintKind::kToolCalls: {
      const ToolCallOptions options{spec.tool_format, spec.parallel, spec.after.ends_with(kToolCallOpen)};
      return tool_calls_expression(spec.tools_json, options, g, json);
    }
    case ConstraintKind::kGrammar:
      return g.call(g.root);
  }
  return invalid_argument("constraint: unknown kind");
}

class GrammarConstraint final : public TokenConstraint {
 public:
  explicit GrammarConstraint(std::shared_ptr<Compiled> compiled, std::unique_ptr<Machine> machine)
      : compiled_(std::move(compiled)), machine_(std::move(machine)) {
    state_ = machine_->start();
  }
  ~GrammarConstraint() override {
    state_ = machine_->tidy(state_);
    const std::lock_guard lock(compiled_->mutex);
    if (compiled_->idle.size() < kKeptMachines) compiled_->idle.push_back(std::move(machine_));
  }

  void allowed(std::span<std::uint64_t> bits) override {
    if (!ended_) {
      state_ = machine_->tidy(state_);
      machine_->fill(state_, bits);
      if (std::any_of(bits.begin(), bits.end(), [](std::uint64_t w) { return w != 0; })) return;
    }
    // Ended; or the limits of the machine left no way to go on, and an end is better than nonsense.
    std::fill(bits.begin(), bits.end(), 0);
    for (const Token id : machine_->vocabulary().stop_ids()) {
      const auto word = static_cast<std::size_t>(id) / 64;
      KAKEYA_CHECK(word < bits.size());
      bits[word] |= std::uint64_t{1} << (id % 64);
    }
  }

  void accept(Token id) override {
    const Vocabulary& v = machine_->vocabulary();
    KAKEYA_CHECK(id >= 0 && static_cast<std::size_t>(id) < v.size());
    const auto& stops = v.stop_ids();
    if (std::find(stops.begin(), stops.end(), id) != stops.end()) ended_ = true;
    for (const char c : v.bytes(id)) state_ = machine_->step(state_, static_cast<std::uint8_t>(c));
    if (state_ == kDeadState) ended_ = true;
  }

 private:
  std::shared_ptr<Compiled> compiled_;
  std::unique_ptr<Machine> machine_;
  StateId state_ = kDeadState;
  bool ended_ = false;
};

std::string key_of(const ConstraintSpec& spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind)) + "," +
                    std::to_string(static_cast<int>(spec.tool_format)) + (spec.parallel ? "p" : "-") +
                    (spec.optional ? "o" : "-");
  const auto add = [&](const std::string& part) { key += std::to_string(part.size()) + ":" + part; };
  add(spec.text);
  add(spec.after);
  for (const std::string& tool : spec.tools_json) add(tool);
  return key;
}

}  // namespace

Result<Grammar> grammar_of(const ConstraintSpec& spec) {
  if (spec.optional && spec.after.empty()) {
    return invalid_argument("constraint: optional without a marker to wait for (after)");
  }
  Grammar g;
  if (spec.kind == ConstraintKind::kGrammar) {
    KAKEYA_ASSIGN(g, parse_gbnf(spec.text));
  }
  KAKEYA_ASSIGN(ExprId body, inner_expression(spec, g));
  const bool line_ends = spec.kind != ConstraintKind::kGrammar && !spec.after.ends_with(kToolCallOpen);
  if (!spec.after.empty()) {
    const ExprId lines = g.repeat(g.literal("\n"), 0, line_ends ? 2 : 0);
    body = g.seq({g.until(spec.after), lines, body});
  }
  if (spec.optional) body = g.alt({body, g.free_end(spec.after)});
  g.root = g.add_rule("answer");
  g.define(g.root, body);
  return g;
}

Result<std::shared_ptr<Compiled>> ConstraintFactory::compiled(const ConstraintSpec& spec) {
  const std::string key = key_of(spec);
  {
    const std::lock_guard lock(mutex_);
    for (auto it = recent_.begin(); it != recent_.end(); ++it) {
      if (it->first != key) continue;
      recent_.splice(recent_.begin(), recent_, it);
      return it->second;
    }
  }
  KAKEYA_ASSIGN(const Grammar grammar, grammar_of(spec));
  KAKEYA_ASSIGN(Program program, compile(grammar));
  for (std::size_t b = 0; b < 256; ++b) {
    if (program.needed.test(b) && !vocabulary_->single_bytes().test(b)) {
      return unsupported("constraint: the vocabulary has no token for byte " + std::to_string(b) +
                         " alone, which the constraint needs");
    }
  }
  auto out = std::make_shared<Compiled>();
  out->program = std::make_shared<const Program>(std::move(program));
  const std::lock_guard lock(mutex_);
  recent_.emplace_front(key, out);
  if (recent_.size() > kKeptPrograms) recent_.pop_back();
  return out;
}

Result<std::unique_ptr<TokenConstraint>> ConstraintFactory::make(const ConstraintSpec& spec) {
  KAKEYA_ASSIGN(std::shared_ptr<Compiled> compiled, this->compiled(spec));
  std::unique_ptr<Machine> machine;
  {
    const std::lock_guard lock(compiled->mutex);
    if (!compiled->idle.empty()) {
      machine = std::move(compiled->idle.back());
      compiled->idle.pop_back();
    }
  }
  if (machine == nullptr) machine = std::make_unique<Machine>(compiled->program, vocabulary_);
  return std::unique_ptr<TokenConstraint>(
      std::make_unique<GrammarConstraint>(std::move(compiled), std::move(machine)));
}

}  // namespace kakeya::grammar
