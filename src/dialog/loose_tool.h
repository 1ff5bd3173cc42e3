// A tool's schema without the keywords that cannot be kept.
#pragma once
#include <kakeya/constraint.h>
#include <kakeya/engine.h>

#include <string>
#include <vector>

namespace kakeya::dialog {

struct LooseTool {
  std::string json;  // the tool, with a schema that a constraint can keep
  std::vector<std::string>
      places;  // what was dropped from its parameters: "#/properties/a/multipleOf"; "#": all
};

// `spec` is of the kind kToolCalls with one tool, and was refused with `refusal`. The refusal's JSON pointer
// says what to drop: a keyword is left out (oneOf becomes anyOf, additionalProperties true), a schema that is
// itself no schema may be anything. What a refusal without a usable pointer is about cannot be told: then the
// arguments may be any object.
LooseTool loosen(const Engine& engine, ConstraintSpec spec, Error refusal);

}  // namespace kakeya::dialog
