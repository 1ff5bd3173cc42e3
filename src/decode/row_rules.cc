// Bias, penalties, minimum length, constraint.
#include "decode/row_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace kakeya::decode {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

Error out_of_range(const char* field, double value, const char* expected) {
  return invalid_argument(fmt::format("{} is {}, expected {}", field, value, expected));
}

}  // namespace

Status check_rules(const TokenRules& rules, std::size_t vocab) {
  if (!(rules.repetition_penalty > 0) || !std::isfinite(rules.repetition_penalty)) {
    return out_of_range("repetition_penalty", rules.repetition_penalty, "a number above 0");
  }
  if (!std::isfinite(rules.presence_penalty)) {
    return out_of_range("presence_penalty", rules.presence_penalty, "a finite number");
  }
  if (!std::isfinite(rules.frequency_penalty)) {
    return out_of_range("frequency_penalty", rules.frequency_penalty, "a finite number");
  }
  if (rules.min_tokens < 0) return out_of_range("min_tokens", rules.min_tokens, "0 or more");
  for (const auto& [id, bias] : rules.logit_bias) {
    if (id < 0 || static_cast<std::size_t>(id) >= vocab) {
      return invalid_argument(fmt::format("logit_bias: token id {}, expected 0 to {}", id, vocab - 1));
    }
    if (!std::isfinite(bias)) {
      return invalid_argument(fmt::format("logit_bias: {} for token {}, expected a finite number", bias, id));
    }
  }
  return {};
}

RowRules::RowRules(TokenRules rules, std::vector<Token> stop_ids, std::span<const Token> prompt)
    : rules_(std::move(rules)), stop_ids_(std::move(stop_ids)) {
  if (rules_.repetition_penalty != 1.0f) history_.assign(prompt.begin(), prompt.end());
  active_ = !rules_.logit_bias.empty() || rules_.repetition_penalty != 1.0f ||
            rules_.presence_penalty != 0.0f || rules_.frequency_penalty != 0.0f || rules_.min_tokens > 0 ||
            rules_.constraint != nullptr;
}

std::span<const float> RowRules::apply(std::span<const float> logits) {
  if (!active_ || ended_) return logits;
  ruled_.assign(logits.begin(), logits.end());
  for (const auto& [id, bias] : rules_.logit_bias) ruled_[static_cast<std::size_t>(id)] += bias;
  penalise();
  hold_stops_back();
  constrain();
  return ruled_;
}

void RowRules::penalise() {
  if (rules_.repetition_penalty != 1.0f) {
    counts_.resize(ruled_.size());
    const std::size_t n = rules_.repeat_last_n;
    const auto seen = std::span(history_).last(n == 0 ? history_.size() : std::min(n, history_.size()));
    for (const Token id : seen) {
      const auto at = static_cast<std::size_t>(id);
      if (counts_[at]++ > 0) continue;
      float& logit = ruled_[at];
      logit = logit > 0 ? logit / rules_.repetition_penalty : logit * rules_.repetition_penalty;
    }
    for (const Token id : seen) counts_[static_cast<std::size_t>(id)] = 0;
  }
  if (rules_.presence_penalty == 0.0f && rules_.frequency_penalty == 0.0f) return;
  counts_.resize(ruled_.size());
  for (const Token id : output_) ++counts_[static_cast<std::size_t>(id)];
  for (const Token id : output_) {
    const auto at = static_cast<std::size_t>(id);
    if (counts_[at] == 0) continue;
    ruled_[at] -= rules_.presence_penalty + rules_.frequency_penalty * static_cast<float>(counts_[at]);
    counts_[at] = 0;
  }
}

void RowRules::hold_stops_back() {
  if (output_.size() >= static_cast<std::size_t>(rules_.min_tokens)) return;
  for (const Token id : stop_ids_) ruled_[static_cast<std::size_t>(id)] = kNever;
}

void RowRules::constrain() {
  if (rules_.constraint == nullptr) return;
  allowed_.resize((ruled_.size() + 63) / 64);
  rules_.constraint->allowed(allowed_);
  bool any = false;
  for (std::size_t word = 0; word < allowed_.size(); ++word) {
    const std::uint64_t bits = allowed_[word];
    if (bits == ~std::uint64_t{0}) {
      any = true;
      continue;
    }
    const std::size_t first = word * 64, last = std::min(first + 64, ruled_.size());
    for (std::size_t i = first; i < last; ++i) {
      if ((bits >> (i - first) & 1) == 0) {
        ruled_[i] = kNever;
      } else {
        any = any || ruled_[i] != kNever;
      }
    }
  }
  // A text that may only end cannot be as long as min_tokens asks: ending wins.
  if (any) return;
  for (const Token id : stop_ids_) ruled_[static_cast<std::size_t>(id)] = 0;
}

void RowRules::accept(Token id) {
  if (!active_ || ended_) return;
  if (std::ranges::find(stop_ids_, id) != stop_ids_.end()) {
    ended_ = true;
    return;
  }
  output_.push_back(id);
  if (rules_.repetition_penalty != 1.0f) history_.push_back(id);
  if (rules_.constraint != nullptr) rules_.constraint->accept(id);
}

}  // namespace kakeya::decode
