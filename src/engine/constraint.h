// Makes constraints for one engine; the tree of its vocabulary is built when the first one is asked for.
#pragma once
#include <kakeya/result.h>

#include <memory>
#include <mutex>
#include <vector>

#include "grammar/constraint.h"
#include "text/tokenizer.h"

namespace kakeya::engine {

class ConstraintMaker {
 public:
  // Thread-safe; always with the same tokenizer and stop ids. Errors: as Engine::new_constraint.
  Result<std::unique_ptr<TokenConstraint>> make(const text::Tokenizer& tokenizer,
                                                const std::vector<Token>& stop_ids,
                                                const ConstraintSpec& spec);

 private:
  std::mutex mutex_;
  std::unique_ptr<grammar::ConstraintFactory> factory_;
};

}  // namespace kakeya::engine
