#include "dialog/loose_tool.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace kakeya::dialog {
namespace {

using Json = nlohmann::ordered_json;
using Pointer = Json::json_pointer;

constexpr int kMaxDrops = 100;  // each compiles the schema once more
constexpr std::string_view kMaps[] = {"properties", "$defs", "definitions"};
constexpr std::string_view kLists[] = {"anyOf", "oneOf", "allOf", "prefixItems"};

bool any_of(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The place that a refusal names, "#/..." between two colons, where the schema has it.
std::optional<std::string> place_of(const std::string& message, const Json& schema) {
  const std::size_t begin = message.find(": #/");
  if (begin == std::string::npos) return {};
  const std::string_view text = std::string_view(message).substr(begin + 3);
  for (std::size_t end = text.find(": "); end != std::string_view::npos; end = text.find(": ", end + 1)) {
    const std::string path(text.substr(0, end));  // names may hold a colon
    try {
      if (schema.contains(Pointer(path))) return path;
    } catch (const Json::exception&) {
      return {};
    }
  }
  return {};
}

// Whether a place is a member of a list or map of schemas, and so a schema without a keyword of its own.
bool is_member(const Pointer& place) {
  if (place.empty() || place.parent_pointer().empty()) return false;
  bool schema = true;  // what the walk stands at: a schema, else a list or map of them
  std::vector<std::string> words;
  for (Pointer at = place; !at.empty(); at.pop_back()) words.push_back(at.back());
  bool member = false;
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    member = !schema;
    const bool opens = schema && (any_of(kMaps, *word) || any_of(kLists, *word));
    schema = !opens;
  }
  return member;
}

// False where nothing can be dropped there.
bool drop(Json& schema, const std::string& path) {
  const Pointer place(path);
  if (is_member(place)) {
    Json& member = schema[place];
    if (member == Json::object()) return false;
    member = Json::object();
    return true;
  }
  Json& owner = schema[place.parent_pointer()];
  if (!owner.is_object()) return false;
  const std::string key = place.back();
  if (key == "additionalProperties") {
    if (owner[key] == true) return false;
    owner[key] = true;
    return true;
  }
  if (key == "oneOf" && owner[key].is_array() && !owner.contains("anyOf")) owner["anyOf"] = owner[key];
  owner.erase(key);
  return true;
}

}  // namespace

LooseTool loosen(const Engine& engine, ConstraintSpec spec, Error refusal) {
  LooseTool out;
  Json tool = Json::parse(spec.tools_json.front(), nullptr, false);
  Json& function = tool.contains("function") ? tool["function"] : tool;
  Json& parameters = function["parameters"];
  const auto text = [&] { return tool.dump(-1, ' ', false, Json::error_handler_t::replace); };
  for (int i = 0; i < kMaxDrops; ++i) {
    const auto place = place_of(refusal.message, parameters);
    if (!place || !drop(parameters, *place)) break;
    out.places.push_back("#" + *place);
    spec.tools_json = {text()};
    const auto again = engine.new_constraint(spec);
    if (again.ok()) {
      out.json = text();
      return out;
    }
    refusal = again.error();
  }
  parameters = {{"type", "object"}};
  return {text(), {"#"}};
}

}  // namespace kakeya::dialog
