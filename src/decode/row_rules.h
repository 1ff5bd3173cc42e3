// TokenRules applied to one row of logits after the other, each seeing the tokens before it. The caller hands
// over every token that stands, so a verified row is ruled exactly as the same row of plain decoding.
#pragma once
#include <kakeya/constraint.h>
#include <kakeya/options.h>
#include <kakeya/result.h>

#include <cstdint>
#include <span>
#include <vector>

namespace kakeya::decode {

class RowRules {
 public:
  // `stop_ids` are held back by min_tokens, and end the rules when one is accepted.
  RowRules(TokenRules rules, std::vector<Token> stop_ids, std::span<const Token> prompt);

  // False: rows pass unchanged, apply() and accept() cost nothing.
  bool active() const { return active_; }
  // The row that predicts the next token, as ruled; valid until the next call. Where nothing applies the row
  // itself comes back.
  std::span<const float> apply(std::span<const float> logits);
  void accept(Token id);

 private:
  void penalise();
  void hold_stops_back();
  void constrain();

  TokenRules rules_;
  std::vector<Token> stop_ids_;
  std::vector<Token> history_;  // prompt and output; only when repetition_penalty needs it
  std::vector<Token> output_;
  std::vector<float> ruled_;
  std::vector<std::uint32_t> counts_;  // by id; all 0 between calls
  std::vector<std::uint64_t> allowed_;
  bool active_ = false, ended_ = false;
};

// Errors: kInvalidArgument naming the field, its value and its range.
Status check_rules(const TokenRules& rules, std::size_t vocab);

}  // namespace kakeya::decode
