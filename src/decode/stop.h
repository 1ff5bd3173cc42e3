// Where a run of tokens ends.
#pragma once
#include <kakeya/token.h>

#include <cstddef>
#include <span>
#include <vector>

namespace kakeya::decode {

class StopRules {
 public:
  StopRules() = default;
  explicit StopRules(std::vector<Token> ids);

  bool is_stop(Token id) const;
  const std::vector<Token>& ids() const { return ids_; }
  // How many of `tokens` stand: up to and including the first stop id, all of them when there is none.
  std::size_t kept(std::span<const Token> tokens) const;

 private:
  std::vector<Token> ids_;  // sorted
};

}  // namespace kakeya::decode
