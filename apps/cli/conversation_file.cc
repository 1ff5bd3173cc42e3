// Saved conversations, read back: a file that somebody may have edited, so every field is checked.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "cli/conversation.h"
#include "cli/model_setup.h"
#include "hub/json_text.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxShown = 60;

class ConversationFile {
 public:
  ConversationFile(const std::string& path, std::size_t most_width) : path_(path), most_width_(most_width) {}

  Result<SavedConversation> read(const Json& root) const {
    const auto is = [&](const char* field, Json::value_t type) {
      return root.is_object() && root.contains(field) && root[field].type() == type;
    };
    if (!is("schema", Json::value_t::string) || root["schema"] != kChatSchema) {
      return corrupt_data(
          fmt::format("conversation {}: expected a JSON object with schema {}", path_, kChatSchema));
    }
    if (!is("messages", Json::value_t::array) || !is("settings", Json::value_t::object)) {
      return corrupt_data(
          fmt::format("conversation {}: expected a list \"messages\" and an object \"settings\"", path_));
    }
    SavedConversation out;
    KAKEYA_ASSIGN(out.target, optional_text(root, "", "target"));
    KAKEYA_ASSIGN(out.draft, optional_text(root, "", "draft"));
    KAKEYA_ASSIGN(out.conversation.system, optional_text(root, "", "system"));
    for (const auto& [name, value] : root["settings"].items()) {
      KAKEYA_TRY(read_setting(name, value, out.conversation.settings));
    }
    for (const Json& item : root["messages"]) KAKEYA_TRY(read_message(item, out.conversation.messages));
    return out;
  }

 private:
  Error bad(const std::string& field, const Json& found, const std::string& expected) const {
    const std::string text = found.dump(-1, ' ', true, Json::error_handler_t::replace);
    return corrupt_data(fmt::format("conversation {}: {}: found {}, expected {}", path_, field,
                                    text.substr(0, kMaxShown), expected));
  }

  // "" when absent or null.
  Result<std::string> optional_text(const Json& object, const std::string& where, const char* field) const {
    if (!object.contains(field) || object[field].is_null()) return std::string();
    if (!object[field].is_string()) return bad(where + field, object[field], "a text");
    return object[field].get<std::string>();
  }

  Status read_setting(const std::string& name, const Json& value, ChatSettings& out) const {
    const std::string field = "settings." + name;
    if (name == "kv" || name == "draft_kv") {
      if (!value.is_string()) return bad(field, value, "a text");
      (name == "kv" ? out.kv : out.draft_kv) = value.get<std::string>();
    } else if (name == "speculation") {
      const auto mode = value.is_string() ? parse_speculation(value.get<std::string>())
                                          : Result<Speculation>(invalid_argument(""));
      if (!mode.ok()) return bad(field, value, "auto, fixed or off");
      out.speculation = *mode;
    } else if (name == "verify_width") {
      const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() <= most_width_;
      if (!fits) return bad(field, value, fmt::format("a whole number from 0 to {}", most_width_));
      out.verify_width = value.get<std::size_t>();
    } else if (name == "thinking") {
      if (!value.is_boolean()) return bad(field, value, "true or false");
      out.thinking = value.get<bool>();
    } else if (name == "stop") {
      return read_stop(value, out);
    } else {
      const Status set = set_value(out, name, value.is_string() ? value.get<std::string>() : value.dump());
      if (!set.ok()) {
        return corrupt_data(fmt::format("conversation {}: settings: {}", path_, set.error().message));
      }
    }
    return {};
  }

  Status read_stop(const Json& value, ChatSettings& out) const {
    if (!value.is_array()) return bad("settings.stop", value, "a list of texts");
    for (const Json& stop : value) {
      if (!stop.is_string() || stop.get_ref<const std::string&>().empty()) {
        return bad(fmt::format("settings.stop[{}]", out.stop.size()), stop, "a text that is not empty");
      }
      out.stop.push_back(stop.get<std::string>());
    }
    return {};
  }

  Status read_message(const Json& item, std::vector<ChatMessage>& out) const {
    const std::string where = fmt::format("messages[{}]", out.size());
    const auto text = [&](const char* field) {
      return item.is_object() && item.contains(field) && item[field].is_string();
    };
    const std::string role = text("role") ? item["role"].get<std::string>() : "";
    if (!text("content") || (role != "user" && role != "assistant")) {
      return bad(where, item, "an object with role user or assistant, and content");
    }
    ChatMessage message{role, item["content"].get<std::string>(), {}, {}};
    KAKEYA_ASSIGN(std::string reasoning, optional_text(item, where + ".", "reasoning_content"));
    if (!reasoning.empty()) message.reasoning_content = std::move(reasoning);
    out.push_back(std::move(message));
    return {};
  }

  const std::string& path_;
  const std::size_t most_width_;
};

}  // namespace

Result<SavedConversation> read_conversation(const std::string& path, std::size_t most_width) {
  KAKEYA_ASSIGN(const std::string text, acceptance::read_regular_file(path, kMaxFileBytes));
  KAKEYA_ASSIGN(const Json root, hub::parse_json_text("conversation " + path, text));
  return ConversationFile(path, most_width).read(root);
}

}  // namespace kakeya::cli
