// The embedded pair with chosen defaults and constraints, and a service that plays back events.
#pragma once
#include <gtest/gtest.h>
#include <kakeya/speed.h>

#include <algorithm>
#include <deque>

#include "dialog/dialog.h"

namespace kakeya::dialog {

// Allows one token, always.
class OneToken final : public TokenConstraint {
 public:
  explicit OneToken(Token id) : id_(static_cast<std::size_t>(id)) {}
  void allowed(std::span<std::uint64_t> bits) override {
    std::fill(bits.begin(), bits.end(), 0);
    bits[id_ / 64] = std::uint64_t{1} << (id_ % 64);
  }
  void accept(Token) override {}

 private:
  std::size_t id_;
};

inline ServiceEvent event_of(ServiceEvent::Kind kind) {
  ServiceEvent event;
  event.kind = kind;
  return event;
}

// Text, tokens and template are the embedded pair's own.
class TestEngine final : public Engine {
 public:
  SamplingDefaults defaults;
  mutable std::vector<ConstraintSpec> constraints;  // asked for
  std::string refused;                              // a spec that holds this text is kUnsupported
  std::string family = "qwen3";

  const ModelInfo& target() const override { return pair().target(); }
  const ModelInfo* draft() const override { return nullptr; }
  Result<std::string> target_sha256() const override { return pair().target_sha256(); }
  Result<std::string> draft_sha256() const override { return pair().draft_sha256(); }
  int threads() const override { return 1; }
  std::string isa() const override { return "scalar"; }
  Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const override {
    return pair().encode(text, parse_special);
  }
  std::string decode(std::span<const Token> ids, bool skip_special) const override {
    return pair().decode(ids, skip_special);
  }
  Result<std::string> render_chat(const ChatRequest& request) const override {
    return pair().render_chat(request);
  }
  Result<std::vector<Token>> encode_chat(const ChatRequest& request) const override {
    return pair().encode_chat(request);
  }
  const SamplingDefaults& sampling_defaults() const override { return defaults; }
  std::string template_family() const override { return family; }
  const std::vector<Token>& stop_ids() const override { return pair().stop_ids(); }
  Result<std::unique_ptr<Session>> new_session(const SessionOptions& options) const override {
    return pair().new_session(options);
  }
  Result<std::unique_ptr<Service>> new_service(const ServiceOptions& options) const override {
    return pair().new_service(options);
  }
  Result<std::unique_ptr<TokenConstraint>> new_constraint(const ConstraintSpec& spec) const override {
    constraints.push_back(spec);
    for (const std::string& tool : spec.tools_json) {
      if (!refused.empty() && tool.find(refused) != std::string::npos)
        return unsupported("schema: " + refused);
    }
    return std::unique_ptr<TokenConstraint>(new OneToken(static_cast<Token>(constraints.size())));
  }
  std::string token_bytes(Token id) const override { return pair().token_bytes(id); }
  Result<std::unique_ptr<SpeedProbe>> new_speed_probe(const SessionOptions&) const override {
    return unsupported("test");
  }

 private:
  static const Engine& pair() {
    static const std::unique_ptr<Engine> engine = [] {
      EngineOptions options;
      options.threads = 1;
      auto opened = Engine::open(options);
      if (!opened.ok()) ADD_FAILURE() << opened.error().message;
      return std::move(opened).value();
    }();
    return *engine;
  }
};

class ScriptedService final : public Service {
 public:
  explicit ScriptedService(std::size_t context = 512) { options_.session.max_tokens = context; }
  std::deque<ServiceEvent> script;  // an event of kind kProgress and done = 77 is a pause
  ServiceRequest request;           // the last one
  bool cancelled = false;

  Result<std::unique_ptr<Answer>> submit(ServiceRequest asked) override {
    request = std::move(asked);
    return std::unique_ptr<Answer>(new Playback(*this));
  }
  Result<std::vector<float>> embed(std::span<const Token>) override { return unsupported("test"); }
  Result<std::size_t> save_slot(int, const std::string&) override { return unsupported("test"); }
  Result<std::size_t> restore_slot(int, const std::string&) override { return unsupported("test"); }
  Status erase_slot(int) override { return {}; }
  void drain(std::chrono::milliseconds) override {}
  ServiceStats stats() const override { return {}; }
  const ServiceOptions& options() const override { return options_; }

 private:
  class Playback final : public Answer {
   public:
    explicit Playback(ScriptedService& service) : service_(service) {}
    std::optional<ServiceEvent> next(std::chrono::milliseconds) override {
      if (service_.script.empty()) return std::nullopt;
      ServiceEvent event = std::move(service_.script.front());
      service_.script.pop_front();
      if (event.kind == ServiceEvent::Kind::kProgress && event.done == 77) return std::nullopt;
      return event;
    }
    void cancel() override { service_.cancelled = true; }

   private:
    ScriptedService& service_;
  };
  ServiceOptions options_;
};

inline DialogRequest user_says(const std::string& text) {
  ChatRequest chat;
  chat.messages = {{"user", text, {}, {}}};
  DialogRequest request;
  request.input = chat;
  return request;
}

inline ChatRequest& chat_of(DialogRequest& request) { return std::get<ChatRequest>(request.input); }

inline std::string tool(const std::string& name, const std::string& rest = "") {
  return R"({"type":"function","function":{"name":")" + name + "\"" + rest + "}}";
}

// What ask() makes of a request.
struct Asked {
  TestEngine engine;
  ScriptedService service;
  Status send(DialogRequest request) {
    auto reply = ask(engine, service, std::move(request));
    if (!reply.ok()) return reply.error();
    return {};
  }
  std::string prompt() const { return engine.decode(service.request.prompt, false); }
  const GenerateOptions& options() const { return service.request.options; }
};

}  // namespace kakeya::dialog
