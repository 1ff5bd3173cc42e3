// JSON Schema -> expressions. What is kept, what is narrowed and what is refused:
// docs/formats/constraints.md.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <string_view>

#include "grammar/json_rules.h"

namespace kakeya::grammar {

// The texts that are valid for the schema. `name` is for messages. Errors: kInvalidArgument (not a schema,
// with the place), kUnsupported (a keyword that cannot be kept, with its JSON pointer).
Result<ExprId> schema_expression(const std::string& name, std::string_view text, Grammar& grammar,
                                 JsonRules& json);

}  // namespace kakeya::grammar
