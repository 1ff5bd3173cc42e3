// SchemaBuilder: strings and numbers.
#include <cmath>

#include "grammar/number_range.h"
#include "grammar/regex.h"
#include "grammar/schema_builder.h"

namespace kakeya::grammar {
namespace {

struct Format {
  const char* name;
  const char* pattern;
};

// RFC 3339 (years from 1000 on, no leap seconds), RFC 9562, RFC 791.
#define KAKEYA_DATE                                                                                \
  "([1-9]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|"         \
  "02-(0[1-9]|1\\d|2[0-8]))|([1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)" \
  "-02-29)"
#define KAKEYA_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define KAKEYA_OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
constexpr Format kFormats[] = {
    {"date", "^" KAKEYA_DATE "$"},
    {"time", "^" KAKEYA_TIME "$"},
    {"date-time", "^" KAKEYA_DATE "T" KAKEYA_TIME "$"},
    {"uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
    {"ipv4", "^" KAKEYA_OCTET "(\\." KAKEYA_OCTET "){3}$"},
};
#undef KAKEYA_DATE
#undef KAKEYA_TIME
#undef KAKEYA_OCTET

}  // namespace

Result<std::uint32_t> SchemaBuilder::count_of(const Json& schema, const std::string& key,
                                              std::uint32_t missing, const std::string& at) const {
  const auto found = schema.find(key);
  if (found == schema.end()) return missing;
  const double value = found->is_number() ? found->get<double>() : -1;
  if (value < 0 || value != std::floor(value)) {
    return document_.wrong(child_pointer(at, key), "expected a whole number, 0 or more");
  }
  if (value <= kMaxCount) return static_cast<std::uint32_t>(value);
  if (key.starts_with("max")) return kMaxCount;  // more than any answer holds
  return document_.refuse(child_pointer(at, key), "a minimum above " + std::to_string(kMaxCount));
}

Result<ExprId> SchemaBuilder::build_string(const Json& schema, const std::string& at) {
  KAKEYA_ASSIGN(const std::optional<ExprId> content, string_content(schema, at, json_));
  if (!content) return json_.string();
  return g_.seq({g_.literal("\""), *content, g_.literal("\"")});
}

Result<std::optional<ExprId>> SchemaBuilder::string_content(const Json& schema, const std::string& at,
                                                            JsonRules& rules) {
  using Content = std::optional<ExprId>;
  const bool lengths = schema.contains("minLength") || schema.contains("maxLength");
  const auto of_pattern = [&](std::string_view pattern) -> Result<Content> {
    auto body = string_of_pattern(pattern, g_, rules);
    if (body.ok()) return Content(*body);
    const std::string place = child_pointer(at, "pattern");
    return body.error().code == ErrorCode::kUnsupported ? document_.refuse(place, body.error().message)
                                                        : document_.wrong(place, body.error().message);
  };
  if (schema.contains("pattern")) {
    if (!schema["pattern"].is_string())
      return document_.wrong(child_pointer(at, "pattern"), "expected a string");
    if (lengths) return document_.refuse(child_pointer(at, "pattern"), "beside a length it cannot be kept");
    return of_pattern(schema["pattern"].get_ref<const std::string&>());
  }
  if (!lengths && schema.contains("format")) {
    for (const Format& format : kFormats) {
      if (schema["format"] == Json(format.name)) return of_pattern(format.pattern);
    }
  }
  if (!lengths) return Content();
  KAKEYA_ASSIGN(const std::uint32_t min, count_of(schema, "minLength", 0, at));
  KAKEYA_ASSIGN(const std::uint32_t max, count_of(schema, "maxLength", kUnbounded, at));
  if (min > max) return document_.refuse(child_pointer(at, "minLength"), "above maxLength: nothing is valid");
  return Content(g_.repeat(rules.string_char(), min, max));
}

namespace {

struct Bound {
  std::optional<double> value;
  bool open = false;
  std::string key;
};

// The tighter of an inclusive and an exclusive keyword.
Result<Bound> read_bound(const Json& schema, const char* inclusive, const char* exclusive, bool upper) {
  Bound bound;
  for (const char* key : {inclusive, exclusive}) {
    if (!schema.contains(key)) continue;
    if (!schema[key].is_number()) return invalid_argument(key);
    const double value = schema[key].get<double>();
    const bool open = key == exclusive;
    const bool tighter = !bound.value || (upper ? value < *bound.value : value > *bound.value) ||
                         (value == *bound.value && open);
    if (tighter) bound = {value, open, key};
  }
  return bound;
}

}  // namespace

Result<ExprId> SchemaBuilder::build_integer(const Json& schema, const std::string& at) {
  IntegerBounds bounds;
  for (const bool upper : {false, true}) {
    const auto read = upper ? read_bound(schema, "maximum", "exclusiveMaximum", true)
                            : read_bound(schema, "minimum", "exclusiveMinimum", false);
    if (!read.ok()) return document_.wrong(child_pointer(at, read.error().message), "expected a number");
    if (!read->value) continue;
    double value = upper ? std::floor(*read->value) : std::ceil(*read->value);
    if (std::abs(value) >= 1e16 && (upper == (value > 0))) continue;  // wider than the 16 digits we write
    // Libraries write "an integer" as +-(2^53 - 1): the widest bounds that we keep lie inside and are taken
    // instead.
    const auto widest = static_cast<double>(kLargestBound);
    if (std::abs(value) > widest && (upper == (value > 0))) value = upper ? widest : -widest;
    if (std::abs(value) > static_cast<double>(kLargestBound)) {
      return document_.refuse(child_pointer(at, read->key), "a bound beyond 10^15");
    }
    if (read->open && value == *read->value) value += upper ? -1 : 1;
    (upper ? bounds.high : bounds.low) = static_cast<std::int64_t>(value);
  }
  return bounds.low || bounds.high ? integers_between(bounds, g_) : json_.integer();
}

Result<ExprId> SchemaBuilder::build_number(const Json& schema, const std::string& at) {
  NumberBounds bounds;
  for (const bool upper : {false, true}) {
    const auto read = upper ? read_bound(schema, "maximum", "exclusiveMaximum", true)
                            : read_bound(schema, "minimum", "exclusiveMinimum", false);
    if (!read.ok()) return document_.wrong(child_pointer(at, read.error().message), "expected a number");
    if (!read->value) continue;
    const double value = *read->value;
    const auto largest = static_cast<double>(read->open ? kLargestOpenBound : kLargestBound);
    if (value != std::floor(value) || std::abs(value) > largest) {
      return document_.refuse(child_pointer(at, read->key),
                              read->open ? "expected a whole number within 10^7 (of an integer: within 10^15)"
                                         : "expected a whole number within 10^15");
    }
    (upper ? bounds.high : bounds.low) = static_cast<std::int64_t>(value);
    (upper ? bounds.high_open : bounds.low_open) = read->open;
  }
  return bounds.low || bounds.high ? numbers_between(bounds, g_) : json_.number();
}

}  // namespace kakeya::grammar
