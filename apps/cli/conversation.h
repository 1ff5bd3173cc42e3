// A conversation and how it is answered, as `chat` keeps it and writes it to disk. Format:
// docs/howto/chat.md.
#pragma once
#include <kakeya/chat.h>

#include <optional>
#include <string>
#include <vector>

#include "dialog/dialog.h"

namespace kakeya::cli {

inline constexpr const char* kChatSchema = "kakeya-chat-v1";
// Of a draft that is not here: no draft has a larger block.
inline constexpr std::size_t kWidestBlock = 512;

struct ChatSettings {
  std::string kv = "bf16", draft_kv = "bf16";
  Speculation speculation = Speculation::kAuto;
  std::size_t verify_width = 0;
  bool thinking = false, show_acceptance = false;
  dialog::Sampling sampling;
  std::optional<int> max_tokens;
  std::vector<std::string> stop;
};

struct Conversation {
  std::string system;
  std::vector<ChatMessage> messages;  // user and assistant in turns
  ChatSettings settings;
};

struct SavedConversation {
  Conversation conversation;
  std::string target, draft;  // ids; draft empty without one
};

// Sets one value by the name that /set and the file use. "default" takes it back. Errors: kInvalidArgument
// naming the names, or the value.
Status set_value(ChatSettings& settings, const std::string& name, const std::string& value);
// "temperature 0.7, seed 3"; empty when all is left to the model.
std::string values_text(const ChatSettings& settings);

// Replaces the file in one step. Errors: kIo.
Status write_conversation(const std::string& path, const SavedConversation& saved);
// `most_width`: that settings.verify_width may be. Errors: kNotFound, kIo, kCorruptData naming the field.
Result<SavedConversation> read_conversation(const std::string& path, std::size_t most_width);

}  // namespace kakeya::cli
