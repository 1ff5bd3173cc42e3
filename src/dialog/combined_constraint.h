// Constraints made of others.
#pragma once
#include <memory>

#include "dialog/dialog.h"

namespace kakeya::dialog {

// What either allows, as long as it is alive: a constraint that did not allow a token is out.
std::unique_ptr<TokenConstraint> either(std::unique_ptr<TokenConstraint> first,
                                        std::unique_ptr<TokenConstraint> second);

// Calls that are a whole answer (ToolFormat::kLlama3), or any other text: `calls` holds as soon as the text
// names a tool as a call does, `{"name": "f"`. A text that leaves the form before that is free. The engine
// outlives the constraint.
std::unique_ptr<TokenConstraint> calls_if_begun(const Engine& engine, std::unique_ptr<TokenConstraint> calls);

// Anything up to and including `marker`, then `inner` from the next token on. The marker need not come.
// The engine outlives the constraint.
std::unique_ptr<TokenConstraint> free_until(const Engine& engine, std::string marker,
                                            std::unique_ptr<TokenConstraint> inner);

}  // namespace kakeya::dialog
