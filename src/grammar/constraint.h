// Constraints for one vocabulary: specifications -> programs (kept for the next request) -> TokenConstraint.
#pragma once
#include <kakeya/constraint.h>
#include <kakeya/result.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "grammar/machine.h"

namespace kakeya::grammar {

// The grammar of a whole answer: what is free, then what is constrained. Errors: as Engine::new_constraint.
Result<Grammar> grammar_of(const ConstraintSpec& spec);

// A program and the machines that ran it before and remember its masks.
struct Compiled {
  std::shared_ptr<const Program> program;
  std::mutex mutex;
  std::vector<std::unique_ptr<Machine>> idle;
};

class ConstraintFactory {
 public:
  explicit ConstraintFactory(std::shared_ptr<const Vocabulary> vocabulary)
      : vocabulary_(std::move(vocabulary)) {}

  // Thread-safe. What it makes may outlive it. Errors: as Engine::new_constraint.
  Result<std::unique_ptr<TokenConstraint>> make(const ConstraintSpec& spec);

 private:
  Result<std::shared_ptr<Compiled>> compiled(const ConstraintSpec& spec);

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<Compiled>>> recent_;  // the latest first
};

}  // namespace kakeya::grammar
