// One conversation on one slot: what `chat` does, without reading lines.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "cli/answer_view.h"
#include "cli/conversation.h"
#include "cli/model_setup.h"

namespace kakeya::cli {

class ChatSession {
 public:
  // Errors: as Engine::new_service.
  static Result<std::unique_ptr<ChatSession>> create(OpenModel model, Conversation conversation, bool colour);

  const Engine& engine() const { return *model_.engine; }
  Conversation& conversation() { return conversation_; }
  ChatSettings& settings() { return conversation_.settings; }

  // Adds the question, prints the answer, keeps both. A question without an answer is taken back. Errors:
  // those of dialog::ask and of the reply.
  Status ask(const std::string& question);
  // The last question once more. Errors: also kInvalidArgument when there is none.
  Status regenerate();
  void clear();

  // Errors: kInvalidArgument, kUnsupported; the channel then stays as it was.
  Status use_channel(const std::string& kv);
  // What a channel costs: "bf16: 6144 bytes a token; the 120 tokens here 737 kB".
  std::string channel_cost(const std::string& kv) const;

  // The conversation as JSON at `path`, the packed cache at path + ".kv". Text about what was kept. Errors:
  // kIo.
  Result<std::string> save(const std::string& path);
  // Messages and settings but for the KV channels, which stay. A cache that does not fit is left: the text
  // says why, and the next answer computes it again. Errors: as read_conversation.
  Result<std::string> load(const std::string& path);

  std::string stats() const;

 private:
  ChatSession(OpenModel model, Conversation conversation, bool colour)
      : model_(std::move(model)), conversation_(std::move(conversation)), colour_(colour) {}
  Status open_service();
  dialog::DialogRequest request() const;
  Status answer();

  OpenModel model_;
  Conversation conversation_;
  bool colour_;
  std::unique_ptr<Service> service_;  // after model_: ends first
  std::optional<Answered> last_;
};

std::string cache_path(const std::string& path);  // of a saved conversation

}  // namespace kakeya::cli
