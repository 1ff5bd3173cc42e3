// What the families that translate into a dialog share: message contents, tools, schemas. Knows no family.
#pragma once
#include <kakeya/constraint.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "serve/json.h"

namespace kakeya::serve::wire {

// Text of a message's content, added to `out`: a string, null, or an array of parts whose type is among
// `text_types`, with "text". Parts of other types are refused by their name. `place` names the field in
// errors.
std::optional<http::ApiError> read_text(const Json& content, const std::string& place,
                                        std::initializer_list<std::string_view> text_types, std::string& out);

// A tool as ChatRequest takes it. Parameters that are no object, or empty: none are expected.
std::string function_tool(const std::string& name, const Json* description, const Json* parameters);

// A JSON schema as the constraint of the answer.
ConstraintSpec schema_constraint(const Json& schema);

}  // namespace kakeya::serve::wire
