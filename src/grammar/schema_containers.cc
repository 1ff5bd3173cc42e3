// SchemaBuilder: arrays and objects.
#include <algorithm>
#include <set>

#include "grammar/schema_builder.h"

namespace kakeya::grammar {
namespace {

constexpr std::size_t kMaxMembers = 1000;  // what may follow one comma has to fit one state
constexpr std::size_t kMaxKeyBytes = 512;

}  // namespace

Result<ExprId> SchemaBuilder::build_array(const Json& schema, const std::string& at, std::size_t depth) {
  const bool old_form = schema.contains("items") && schema["items"].is_array();
  const std::string prefix_key = old_form ? "items" : "prefixItems";
  std::vector<ExprId> prefix;
  if (schema.contains(prefix_key)) {
    const Json& schemas = schema[prefix_key];
    const std::string here = child_pointer(at, prefix_key);
    if (!schemas.is_array()) return document_.wrong(here, "expected a list of schemas");
    for (std::size_t i = 0; i < schemas.size(); ++i) {
      KAKEYA_ASSIGN(const ExprId item, build(schemas[i], child_pointer(here, std::to_string(i)), depth + 1));
      prefix.push_back(item);
    }
  }
  std::optional<ExprId> rest;
  if (schema.contains("items") && !old_form) {
    if (schema["items"] != Json(false)) {
      KAKEYA_ASSIGN(rest, build(schema["items"], child_pointer(at, "items"), depth + 1));
    }
  } else if (prefix.empty()) {
    rest = json_.any_value(kAnyDepth - 1);
  }
  const auto n = static_cast<std::uint32_t>(prefix.size());
  KAKEYA_ASSIGN(const std::uint32_t min, count_of(schema, "minItems", n, at));
  KAKEYA_ASSIGN(const std::uint32_t max, count_of(schema, "maxItems", kUnbounded, at));
  if (min > max || (!rest && min > n)) {
    return document_.refuse(child_pointer(at, "minItems"), "more items than may come: nothing is valid");
  }
  // From the last item to the first: what may follow item i.
  const auto more = [&](std::uint32_t have) {
    if (!rest || max <= have) return g_.empty();
    const std::uint32_t least = min > have ? min - have : 0;
    return g_.repeat(g_.seq({json_.comma(), *rest}), least, max == kUnbounded ? kUnbounded : max - have);
  };
  ExprId body = g_.alt({});
  if (n == 0) {
    if (rest && max > 0) body = g_.seq({*rest, more(1)});
  } else if (max > 0) {
    const std::uint32_t last = std::min(n, max);
    ExprId tail = last == n ? more(n) : g_.empty();
    for (std::uint32_t i = last; i-- > 1;) {
      tail = g_.seq({json_.comma(), prefix[i], tail});
      if (i >= min) tail = g_.optional(tail);
    }
    body = g_.seq({prefix[0], tail});
  }
  return min == 0 ? json_.wrapped_or_empty("[", body, "]") : json_.wrapped("[", body, "]");
}

Result<std::vector<SchemaBuilder::Member>> SchemaBuilder::members(const Json& schema, const std::string& at,
                                                                  std::size_t depth) {
  std::vector<Member> out;
  const auto add = [&](const std::string& name, const Json& value, const std::string& place) -> Status {
    KAKEYA_ASSIGN(const ExprId expr, build(value, place, depth + 1));
    out.push_back(
        {name, g_.seq({g_.literal(Json(name).dump()), json_.colon(), expr}), names_required(schema, name)});
    return {};
  };
  const std::string here = child_pointer(at, "properties");
  if (schema.contains("properties")) {
    if (!schema["properties"].is_object()) return document_.wrong(here, "expected an object");
    if (schema["properties"].size() > kMaxMembers) {
      return document_.refuse(here, "more than " + std::to_string(kMaxMembers) + " properties");
    }
    for (const auto& [name, value] : schema["properties"].items()) {
      if (value != Json(false)) KAKEYA_TRY(add(name, value, child_pointer(here, name)));
    }
  }
  if (!schema.contains("required")) return out;
  const std::string required = child_pointer(at, "required");
  if (!schema["required"].is_array()) return document_.wrong(required, "expected a list of names");
  const Json others = schema.value("additionalProperties", Json(true));
  for (const Json& name : schema["required"]) {
    if (!name.is_string()) return document_.wrong(required, "expected a list of names");
    const auto text = name.get<std::string>();
    if (std::any_of(out.begin(), out.end(), [&](const Member& m) { return m.name == text; })) continue;
    const bool forbidden = schema.contains("properties") && schema["properties"].contains(text);
    if (forbidden || others == Json(false)) {
      return document_.refuse(required, "'" + text + "' may not come, so nothing is valid");
    }
    if (out.size() >= kMaxMembers) return document_.refuse(required, "too many names");
    KAKEYA_TRY(add(text, others, child_pointer(at, "additionalProperties")));
  }
  return out;
}

Result<ExprId> SchemaBuilder::build_object(const Json& schema, const std::string& at, std::size_t depth) {
  KAKEYA_ASSIGN(const std::vector<Member> named, members(schema, at, depth));
  // Beside `properties`, other members come only when the schema speaks of them (as in llama.cpp).
  const bool open = named.empty() && !schema.contains("properties");
  const Json others = schema.value("additionalProperties", Json(open));
  if (others == Json(true) && named.empty() && !schema.contains("properties"))
    return json_.any_object(kAnyDepth);
  std::optional<ExprId> other_pair;
  if (others != Json(false)) {
    std::vector<std::string> names;
    for (const Member& m : named) names.push_back(m.name);
    if (schema.contains("properties")) {
      for (const auto& item : schema["properties"].items())
        names.push_back(item.key());  // forbidden ones too
    }
    KAKEYA_ASSIGN(const ExprId value, build(others, child_pointer(at, "additionalProperties"), depth + 1));
    for (const std::string& name : names) {
      if (name.size() > kMaxKeyBytes) {
        return document_.refuse(child_pointer(at, "additionalProperties"),
                                "beside a name of more than " + std::to_string(kMaxKeyBytes) + " bytes");
      }
    }
    other_pair = g_.seq({g_.literal("\""), other_key(names), g_.literal("\""), json_.colon(), value});
  }
  const bool may_be_empty =
      std::none_of(named.begin(), named.end(), [](const Member& m) { return m.required; });
  const ExprId body = members_in_order(named, other_pair);
  return may_be_empty ? json_.wrapped_or_empty("{", body, "}") : json_.wrapped("{", body, "}");
}

// Members in the order of the schema, optional ones left out at will, others last. One rule per member for
// "from here on" keeps this linear in the number of members.
ExprId SchemaBuilder::members_in_order(const std::vector<Member>& named, std::optional<ExprId> other_pair) {
  ExprId pick = g_.alt({});  // a first member out of those from i on
  ExprId tail = g_.empty();  // what may follow a member before i
  if (other_pair) {
    tail = g_.repeat(g_.seq({json_.comma(), *other_pair}), 0, kUnbounded);
    pick = g_.seq({*other_pair, tail});
  }
  bool required_left = false;
  for (std::size_t i = named.size(); i-- > 0;) {
    const Member& m = named[i];
    const RuleId pick_rule = g_.add_rule("members"), tail_rule = g_.add_rule("more-members");
    const ExprId first = g_.seq({m.pair, tail});
    g_.define(pick_rule, m.required ? first : g_.alt({first, pick}));
    pick = g_.call(pick_rule);
    required_left = required_left || m.required;
    const ExprId next = g_.seq({json_.comma(), pick});
    g_.define(tail_rule, required_left ? next : g_.optional(next));
    tail = g_.call(tail_rule);
  }
  return pick;
}

namespace {

// Code points of UTF-8 text.
std::vector<std::uint32_t> code_points(const std::string& text) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t k = 1; k < length && i + k < text.size(); ++k) {
      code = code << 6 | (static_cast<std::uint8_t>(text[i + k]) & 0x3fu);
    }
    out.push_back(code);
    i += length;
  }
  return out;
}

using Names = std::vector<std::vector<std::uint32_t>>;  // sorted

// Strings other than names[from, to), which agree before `at`.
ExprId other_than(const Names& names, std::size_t from, std::size_t to, std::size_t at, ExprId any,
                  Grammar& g) {
  std::vector<ExprId> branches;
  bool ends = true;
  for (; from < to && names[from].size() == at; ++from) ends = false;
  if (ends) branches.push_back(g.empty());
  std::vector<CodeRange> used{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
  while (from < to) {
    std::size_t group = from + 1;
    const std::uint32_t code = names[from][at];
    while (group < to && names[group][at] == code) ++group;
    used.push_back({code, code});
    branches.push_back(g.seq({g.one_of({{code, code}}), other_than(names, from, group, at + 1, any, g)}));
    from = group;
  }
  branches.push_back(g.seq({g.none_of(std::move(used)), any}));
  return g.alt(std::move(branches));
}

}  // namespace

// Keys that are none of `names`. Without escapes, so that no name can come in disguise.
ExprId SchemaBuilder::other_key(const std::vector<std::string>& names) {
  const ExprId any = g_.repeat(g_.none_of({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}), 0, kUnbounded);
  Names sorted;
  for (const std::string& name : names) {
    if (Json(name).dump().size() == name.size() + 2) sorted.push_back(code_points(name));  // needs no escape
  }
  if (sorted.empty()) return any;
  std::sort(sorted.begin(), sorted.end());
  const RuleId rest = g_.add_rule("rest-of-key"), key = g_.add_rule("other-key");
  g_.define(rest, any);
  g_.define(key, other_than(sorted, 0, sorted.size(), 0, g_.call(rest), g_));
  return g_.call(key);
}

}  // namespace kakeya::grammar
