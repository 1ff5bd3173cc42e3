#include "serve/switches.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kakeya::serve {
namespace {

constexpr std::string_view kKnown[] = {"kv", "draft_kv", "speculation", "block_size", "verify_width"};

bool allowed(const std::vector<std::string>& list, const std::string& value, const std::string& standard) {
  return value == standard || std::find(list.begin(), list.end(), value) != list.end();
}

std::string channel(Fields& switches, const char* name, const std::vector<std::string>& list,
                    const std::string& standard) {
  const auto value = switches.text(name);
  if (!value || allowed(list, *value, standard)) return value.value_or("");
  std::string known = standard;
  for (const std::string& other : list) known += other == standard ? "" : ", " + other;
  switches.fail(name,
                fmt::format("found '{}', expected one of those that this server allows: {}.", *value, known));
  return {};
}

void refuse_others(Fields& switches, const Json& object, bool drafted) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown)) continue;
    const bool off = key == "return_drafted" && (drafted || value.is_null() || value == false);
    if (off) continue;
    switches.refuse(key.c_str(), fmt::format("not known here, expected {}{}.", fmt::join(kKnown, ", "),
                                             drafted ? ", return_drafted" : ""));
  }
}

}  // namespace

void read_switches(Fields& fields, const Context& context, dialog::DialogRequest& out, bool drafted) {
  const Json* object = fields.object("kakeya");
  if (object == nullptr) return;
  Fields switches(*object, "kakeya.");
  refuse_others(switches, *object, drafted);
  const SessionOptions& standard = context.service.options().session;
  out.kv = channel(switches, "kv", context.options.kv_allowed, standard.kv);
  out.draft_kv = channel(switches, "draft_kv", context.options.draft_kv_allowed, standard.draft_kv);
  if (const auto mode = switches.text("speculation")) {
    if (*mode != "auto" && *mode != "fixed" && *mode != "off") {
      switches.fail("speculation", fmt::format("found '{}', expected auto, fixed or off.", *mode));
    }
    out.speculation = *mode == "off"     ? Speculation::kOff
                      : *mode == "fixed" ? Speculation::kFixed
                                         : Speculation::kAuto;
  }
  const auto most = static_cast<std::int64_t>(kMaxBlockSize);
  out.block_size = static_cast<std::size_t>(switches.integer("block_size", 0, most).value_or(0));
  out.verify_width = static_cast<std::size_t>(switches.integer("verify_width", 0, most).value_or(0));
  fields.merge(switches);
}

std::optional<http::ApiError> apply_switches(const Json& object, const Context& context,
                                             dialog::DialogRequest& out) {
  if (object.is_null()) return {};
  const Json body = {{"kakeya", object}};
  Fields fields(body);
  read_switches(fields, context, out);
  return fields.error();
}

}  // namespace kakeya::serve
