#include "serve/shared_fields.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace kakeya::serve {

namespace off {
bool zero(const Json& value) { return value.is_number() && value.get<double>() <= 0; }
bool one(const Json& value) { return value.is_number() && value.get<double>() == 1; }
bool no(const Json& value) { return value.is_boolean() && !value.get<bool>(); }
bool yes(const Json& value) { return value.is_boolean() && value.get<bool>(); }
bool nothing(const Json& value) {
  return value.empty() || (value.is_string() && value.get_ref<const std::string&>().empty());
}
bool never(const Json&) { return false; }
}  // namespace off

void refuse_unless_off(Fields& fields, std::span<const Refused> list) {
  for (const Refused& refused : list) {
    const Json* value = fields.find(refused.name);
    if (value == nullptr || refused.off(*value)) continue;
    const bool known = *refused.expected != '\0';
    fields.refuse(refused.name, fmt::format("found {}, but this server does not have it{}{}.",
                                            describe(*value), known ? "; expected " : "", refused.expected));
  }
}

std::optional<float> read_top_p(Fields& fields) {
  const auto share = fields.number("top_p", 0, 1);
  if (!share) return {};
  return *share == 0 ? std::numeric_limits<float>::min() : static_cast<float>(*share);
}

void refuse_switches(Fields& fields) {
  const Json* own = fields.object("kakeya");
  if (own == nullptr || own->empty()) return;
  fields.refuse("kakeya", fmt::format("found '{}'; nothing of it applies here.", own->items().begin().key()));
}

}  // namespace kakeya::serve
