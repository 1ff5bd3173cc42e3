// An engine, a service and replies that follow a script, for tests of routes. Not for other code.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/service.h>
#include <kakeya/speed.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve/context.h"

namespace kakeya::serve::test {

// Tokens are bytes: 0 to 255. Special tokens do not exist.
class ByteEngine : public Engine {
 public:
  ByteEngine() {
    info_.id = "qwen3/tiny:test";
    info_.architecture = "qwen3";
    info_.vocab_size = 256;
    info_.hidden_size = 4;
    info_.max_position_embeddings = 512;
  }
  const ModelInfo& target() const override { return info_; }
  const ModelInfo* draft() const override { return nullptr; }
  Result<std::string> target_sha256() const override { return std::string(64, 'a'); }
  Result<std::string> draft_sha256() const override { return not_found("no draft"); }
  int threads() const override { return 1; }
  std::string isa() const override { return "scalar"; }
  Result<std::vector<Token>> encode(std::string_view text, bool) const override {
    std::vector<Token> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const Token> ids, bool) const override {
    std::string text;
    for (const Token id : ids) text += static_cast<char>(id);
    return text;
  }
  Result<std::string> render_chat(const ChatRequest& request) const override {
    std::string text;
    for (const ChatMessage& message : request.messages) text += message.role + ": " + message.content + "\n";
    return text;
  }
  Result<std::vector<Token>> encode_chat(const ChatRequest& request) const override {
    KAKEYA_ASSIGN(const std::string text, render_chat(request));
    return encode(text, false);
  }
  const SamplingDefaults& sampling_defaults() const override { return defaults_; }
  std::string template_family() const override { return "qwen3"; }
  const std::vector<Token>& stop_ids() const override { return stops_; }
  Result<std::unique_ptr<Session>> new_session(const SessionOptions&) const override { return none(); }
  Result<std::unique_ptr<Service>> new_service(const ServiceOptions&) const override { return none(); }
  Result<std::unique_ptr<TokenConstraint>> new_constraint(const ConstraintSpec&) const override {
    return none();
  }
  std::string token_bytes(Token id) const override { return std::string(1, static_cast<char>(id)); }
  Result<std::unique_ptr<SpeedProbe>> new_speed_probe(const SessionOptions&) const override { return none(); }

 private:
  static Error none() { return unsupported("the scripted engine runs no model"); }
  ModelInfo info_;
  SamplingDefaults defaults_;
  std::vector<Token> stops_{0};
};

// Embeds and keeps slots; requests go through the scripted ask().
class ScriptedService : public Service {
 public:
  ScriptedService() {
    options_.session.max_tokens = 512;
    options_.kv_allowed = {"bf16", "e8-q38"};
  }
  Result<std::unique_ptr<Answer>> submit(ServiceRequest) override { return unsupported("scripted"); }
  Result<std::vector<float>> embed(std::span<const Token> ids) override {
    return std::vector<float>{static_cast<float>(ids.size()), 0.5f, -1.0f, 2.0f};
  }
  Result<std::size_t> save_slot(int, const std::string& path) override {
    last_path = path;
    return std::size_t{7};
  }
  Result<std::size_t> restore_slot(int, const std::string& path) override {
    last_path = path;
    return std::size_t{7};
  }
  Status erase_slot(int slot) override {
    if (slot != 0) return invalid_argument("slot: no such one");
    return {};
  }
  void drain(std::chrono::milliseconds) override { drained = true; }
  ServiceStats stats() const override { return stats_; }
  const ServiceOptions& options() const override { return options_; }

  ServiceStats stats_;
  ServiceOptions options_;
  std::string last_path;
  bool drained = false;
};

// What ask() answers, and what it was asked.
struct Script {
  std::vector<dialog::AnswerPart> parts;
  std::optional<Error> refusal;          // instead of a reply
  std::chrono::milliseconds between{0};  // before each part
  std::vector<dialog::DialogRequest> asked;
  std::atomic<int> cancelled{0}, alive{0};
  std::mutex mutex;
};

class ScriptedReply : public dialog::Reply {
 public:
  explicit ScriptedReply(Script& script) : script_(script), parts_(script.parts.begin(), script.parts.end()) {
    ++script_.alive;
  }
  ~ScriptedReply() override { --script_.alive; }
  std::optional<dialog::AnswerPart> next(std::chrono::milliseconds wait) override {
    if (parts_.empty()) return {};
    if (left_ > wait) {
      std::this_thread::sleep_for(wait);
      left_ -= wait;
      return {};
    }
    std::this_thread::sleep_for(left_);
    left_ = script_.between;
    auto part = std::move(parts_.front());
    parts_.pop_front();
    return part;
  }
  void cancel() override {
    ++script_.cancelled;
    left_ = {};
    while (parts_.size() > 1) parts_.pop_front();
  }

 private:
  Script& script_;
  std::deque<dialog::AnswerPart> parts_;
  std::chrono::milliseconds left_ = script_.between;
};

inline AskFunction ask_of(Script& script) {
  return [&script](dialog::DialogRequest request) -> Result<std::unique_ptr<dialog::Reply>> {
    const std::lock_guard lock(script.mutex);
    script.asked.push_back(std::move(request));
    if (script.refusal) return *script.refusal;
    return std::unique_ptr<dialog::Reply>(std::make_unique<ScriptedReply>(script));
  };
}

inline dialog::AnswerPart text_part(dialog::AnswerPart::Kind kind, std::string text) {
  dialog::AnswerPart part;
  part.kind = kind;
  part.text = std::move(text);
  for (const char c : part.text) part.ids.push_back(static_cast<unsigned char>(c));
  return part;
}

inline dialog::AnswerPart finished_part(FinishReason reason, std::size_t prompt_tokens,
                                        std::size_t output_tokens) {
  dialog::AnswerPart part;
  part.kind = dialog::AnswerPart::Kind::kFinished;
  dialog::Summary summary;
  summary.completion.finish = reason;
  summary.completion.usage.prompt_tokens = prompt_tokens;
  summary.completion.usage.output_tokens = output_tokens;
  summary.completion.usage.prefill_ms = 20;
  summary.completion.usage.decode_ms = 100;
  summary.completion.kv = "bf16";
  part.summary = std::move(summary);
  return part;
}

// A context over the three, for tests that call routes without sockets.
struct World {
  ByteEngine engine;
  ScriptedService service;
  Script script;
  Options options;
  Metrics metrics;
  Context context{engine, service, options, ask_of(script), metrics, "qwen3/tiny:test", 1'700'000'000};
};

}  // namespace kakeya::serve::test
