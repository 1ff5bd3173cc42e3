// GET /slots, POST /slots/{id}?action=save|restore|erase.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "serve/common/routes.h"
#include "serve/failures.h"
#include "serve/json.h"

namespace kakeya::serve::common {
namespace {

using http::Answer;
using http::Request;

constexpr std::size_t kMaxName = 200;

Answer list_slots(const Context& context) {
  if (!context.options.show_slots) return switched_off("slots", "--no-slots");
  Json slots = Json::array();
  for (const SlotInfo& slot : context.service.stats().slots) {
    slots.push_back({{"id", slot.id},
                     {"n_ctx", slot.context},
                     {"is_processing", slot.busy},
                     {"kv", slot.kv},
                     {"n_cached", slot.cached},
                     {"n_prompt_tokens", slot.prompt_tokens},
                     {"n_decoded", slot.output_tokens}});
  }
  http::Response response;
  response.body = dump(slots);
  return response;
}

std::optional<http::ApiError> file_of(const Context& context, const Request& request, std::string& name,
                                      std::string& path) {
  if (context.options.slot_save_path.empty()) {
    return unsupported_field("action",
                             "This server keeps no slots on disk: start it with --slot-save-path FOLDER.");
  }
  Json body;
  if (auto error = parse_body(request.body, body)) return error;
  Fields fields(body);
  name = fields.text("filename").value_or("");
  if (fields.ok() && !plain_file_name(name)) {
    fields.fail("filename", "expected the name of a file, without a folder and without a leading dot.");
  }
  path = context.options.slot_save_path + "/" + name;
  return fields.error();
}

Answer keep_slot(Context& context, const Request& request, int slot, bool save) {
  std::string name, path;
  if (auto error = file_of(context, request, name, path)) return *error;
  const auto start = std::chrono::steady_clock::now();
  const auto tokens = save ? context.service.save_slot(slot, path) : context.service.restore_slot(slot, path);
  if (!tokens.ok() && tokens.error().code == ErrorCode::kNotFound) {
    return bad_field("filename",
                     fmt::format("filename: '{}' is not in the folder of --slot-save-path.", name));
  }
  if (!tokens.ok() && !save && tokens.error().code == ErrorCode::kCorruptData) {
    return bad_field("filename", fmt::format("filename: '{}' is damaged, or no saved slot.", name));
  }
  if (!tokens.ok()) {
    Error told = tokens.error();  // folders of this machine are nobody's business
    for (std::size_t at = told.message.find(path); at != std::string::npos; at = told.message.find(path)) {
      told.message.replace(at, path.size(), name);
    }
    return api_error(told, context.draining);
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return json_response({{"id_slot", slot},
                        {"filename", name},
                        {save ? "n_saved" : "n_restored", *tokens},
                        {"timings", {{save ? "save_ms" : "restore_ms", took.count()}}}});
}

Answer act(Context& context, const Request& request) {
  int slot = -1;
  const char* end = request.rest.data() + request.rest.size();
  const auto [stop, error] = std::from_chars(request.rest.data(), end, slot);
  if (error != std::errc() || stop != end || slot < 0) {
    return bad_field("id", fmt::format("slot: found '{}', expected a number.", request.rest));
  }
  const auto action = request.query.find("action");
  const std::string name = action == request.query.end() ? "" : action->second;
  if (name == "save" || name == "restore") return keep_slot(context, request, slot, name == "save");
  if (name != "erase") {
    return bad_field("action", fmt::format("action: found '{}', expected save, restore or erase.", name));
  }
  if (const Status erased = context.service.erase_slot(slot); !erased.ok()) {
    return api_error(erased.error(), context.draining);
  }
  return json_response({{"id_slot", slot}});
}

}  // namespace

bool plain_file_name(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '/' && c != '\\' && c != ':' && c != 127;
  });
  return !name.empty() && name.size() <= kMaxName && name.front() != '.' && plain;
}

void add_slot_routes(http::Router& router, Context& context) {
  router.add({"GET", "/v1/slots", [&context](const Request&) { return list_slots(context); }});
  http::Route action{"POST", "/v1/slots/*",
                     [&context](const Request& request) { return act(context, request); }};
  router.add(std::move(action));
}

}  // namespace kakeya::serve::common
