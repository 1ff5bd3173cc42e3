#include "cli/conversation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "acceptance/machine.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

Error bad_value(const std::string& name, const std::string& value, const char* expected) {
  return invalid_argument(fmt::format("set {}: found '{}', expected {}", name, value, expected));
}

template <class T>
std::optional<T> number(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One name of /set: how it is read from text and shown.
struct Setting {
  const char* name;
  const char* expected;
  bool (*set)(ChatSettings&, const std::string&);  // false: not such a value
  void (*clear)(ChatSettings&);
  std::optional<Json> (*get)(const ChatSettings&);
};

template <class T>
bool store(std::optional<T>& field, const std::string& text, double low, double high) {
  const auto value = number<T>(text);
  if (!value || !(static_cast<double>(*value) >= low && static_cast<double>(*value) <= high)) return false;
  field = *value;
  return true;
}

template <class T>
std::optional<Json> shown(const std::optional<T>& field) {
  if (!field) return std::nullopt;
  // The shortest decimal that is the same float, not its double.
  if constexpr (std::is_same_v<T, float>) return Json::parse(fmt::format("{}", *field));
  return Json(*field);
}

constexpr double kMany = 2147483647;

const std::array kSettings = {
    Setting{"temperature", "0 or more",
            [](ChatSettings& s, const std::string& v) { return store(s.sampling.temperature, v, 0, 100); },
            [](ChatSettings& s) { s.sampling.temperature.reset(); },
            [](const ChatSettings& s) { return shown(s.sampling.temperature); }},
    Setting{"top_k", "a whole number, 0 = off",
            [](ChatSettings& s, const std::string& v) { return store(s.sampling.top_k, v, 0, kMany); },
            [](ChatSettings& s) { s.sampling.top_k.reset(); },
            [](const ChatSettings& s) { return shown(s.sampling.top_k); }},
    Setting{"top_p", "above 0, at most 1",
            [](ChatSettings& s, const std::string& v) { return store(s.sampling.top_p, v, 1e-9, 1); },
            [](ChatSettings& s) { s.sampling.top_p.reset(); },
            [](const ChatSettings& s) { return shown(s.sampling.top_p); }},
    Setting{"min_p", "0 to 1",
            [](ChatSettings& s, const std::string& v) { return store(s.sampling.min_p, v, 0, 1); },
            [](ChatSettings& s) { s.sampling.min_p.reset(); },
            [](const ChatSettings& s) { return shown(s.sampling.min_p); }},
    Setting{"repetition_penalty", "above 0, 1 = off",
            [](ChatSettings& s, const std::string& v) {
              return store(s.sampling.repetition_penalty, v, 1e-9, 100);
            },
            [](ChatSettings& s) { s.sampling.repetition_penalty.reset(); },
            [](const ChatSettings& s) { return shown(s.sampling.repetition_penalty); }},
    Setting{"seed", "a whole number",
            [](ChatSettings& s, const std::string& v) { return store(s.sampling.seed, v, 0, 1.9e19); },
            [](ChatSettings& s) { s.sampling.seed.reset(); },
            [](const ChatSettings& s) { return shown(s.sampling.seed); }},
    Setting{"max_tokens", "a whole number from 1",
            [](ChatSettings& s, const std::string& v) { return store(s.max_tokens, v, 1, kMany); },
            [](ChatSettings& s) { s.max_tokens.reset(); },
            [](const ChatSettings& s) { return shown(s.max_tokens); }},
    Setting{"stop", "a text; each call adds one",
            [](ChatSettings& s, const std::string& v) {
              s.stop.push_back(v);
              return !v.empty();
            },
            [](ChatSettings& s) { s.stop.clear(); },
            [](const ChatSettings& s) { return s.stop.empty() ? std::optional<Json>() : Json(s.stop); }},
    Setting{
        "show_acceptance", "on or off",
        [](ChatSettings& s, const std::string& v) {
          s.show_acceptance = v == "on";
          return v == "on" || v == "off";
        },
        [](ChatSettings& s) { s.show_acceptance = false; },
        [](const ChatSettings& s) { return s.show_acceptance ? std::optional<Json>("on") : std::nullopt; }},
};

Json settings_json(const ChatSettings& s) {
  Json out = {{"kv", s.kv},
              {"draft_kv", s.draft_kv},
              {"speculation", to_string(s.speculation)},
              {"verify_width", s.verify_width},
              {"thinking", s.thinking}};
  for (const Setting& setting : kSettings) {
    if (auto value = setting.get(s)) out[setting.name] = std::move(*value);
  }
  return out;
}

Json messages_json(const std::vector<ChatMessage>& messages) {
  Json out = Json::array();
  for (const ChatMessage& message : messages) {
    Json item = {{"role", message.role}, {"content", message.content}};
    if (message.reasoning_content) item["reasoning_content"] = *message.reasoning_content;
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace

Status set_value(ChatSettings& settings, const std::string& name, const std::string& value) {
  std::string names;
  for (const Setting& setting : kSettings) {
    names += (names.empty() ? "" : ", ") + std::string(setting.name);
    if (name != setting.name) continue;
    if (value == "default") {
      setting.clear(settings);
      return {};
    }
    ChatSettings changed = settings;
    if (!setting.set(changed, value)) return bad_value(name, value, setting.expected);
    settings = std::move(changed);
    return {};
  }
  return invalid_argument(fmt::format("set: found '{}', expected one of: {}", name, names));
}

std::string values_text(const ChatSettings& settings) {
  std::string out;
  for (const Setting& setting : kSettings) {
    if (const auto value = setting.get(settings)) {
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", setting.name, value->dump());
    }
  }
  return out;
}

Status write_conversation(const std::string& path, const SavedConversation& saved) {
  const Conversation& conversation = saved.conversation;
  const Json root = {{"schema", kChatSchema},
                     {"saved_at", acceptance::utc_now()},
                     {"target", saved.target},
                     {"draft", saved.draft.empty() ? Json() : Json(saved.draft)},
                     {"system", conversation.system},
                     {"settings", settings_json(conversation.settings)},
                     {"messages", messages_json(conversation.messages)}};
  return acceptance::write_files({{path, root.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"}});
}

}  // namespace kakeya::cli
