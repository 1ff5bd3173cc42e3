// Constraints made of others.
#pragma once
#include <memory>

#include "dialog/dialog.h"

namespace kakeya::dialog {

// What either allows, as long as it is alive: a constraint that did not allow a token is out.
std::unique_ptr<TokenConstraint> either(std::unique_ptr<TokenConstraint> first,
                                        std::unique_ptr<TokenConstraint> second);

// Anything up to and including `marker`, then `inner` from the next token on. The marker need not come.
// The engine outlives the constraint.
std::unique_ptr<TokenConstraint> free_until(const Engine& engine, std::string marker,
                                            std::unique_ptr<TokenConstraint> inner);

}  // namespace kakeya::dialog
