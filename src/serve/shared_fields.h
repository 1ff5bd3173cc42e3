// Fields that several families of routes have, and those that other servers have and this one does not.
#pragma once
#include <optional>
#include <span>

#include "serve/json.h"

namespace kakeya::serve {

// What cannot be done here: harmless only with a value that switches it off.
struct Refused {
  const char* name;
  bool (*off)(const Json& value);
  const char* expected;  // what `off` takes, in words; empty = nothing
};

namespace off {
bool zero(const Json& value);     // or less
bool one(const Json& value);      // exactly
bool no(const Json& value);       // false
bool yes(const Json& value);      // true
bool nothing(const Json& value);  // an empty text, array or object
bool never(const Json& value);
}  // namespace off

void refuse_unless_off(Fields& fields, std::span<const Refused> list);
// top_p from 0 to 1. 0 keeps the most probable token alone, which the engine writes as the smallest share.
std::optional<float> read_top_p(Fields& fields);
// For routes that answer without generating: the switches in "kakeya" are about generation.
void refuse_switches(Fields& fields);

}  // namespace kakeya::serve
