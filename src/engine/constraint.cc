// Constraints of an engine: the vocabulary's texts out of the tokenizer, then grammar/.
#include "engine/constraint.h"

#include <kakeya/constraint.h>

namespace kakeya::engine {

Result<std::unique_ptr<TokenConstraint>> ConstraintMaker::make(const text::Tokenizer& tokenizer,
                                                               const std::vector<Token>& stop_ids,
                                                               const ConstraintSpec& spec) {
  {
    const std::lock_guard lock(mutex_);
    if (!factory_) {
      std::vector<std::string> bytes(tokenizer.vocab_size());
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto id = static_cast<Token>(i);
        // Added tokens that are not special, such as <tool_call>, are their content.
        if (!tokenizer.is_special(id)) bytes[i] = tokenizer.decode({&id, 1}, false);
      }
      KAKEYA_ASSIGN(grammar::Vocabulary vocabulary, grammar::Vocabulary::create(bytes, stop_ids));
      factory_ = std::make_unique<grammar::ConstraintFactory>(
          std::make_shared<const grammar::Vocabulary>(std::move(vocabulary)));
    }
  }
  return factory_->make(spec);
}

}  // namespace kakeya::engine
