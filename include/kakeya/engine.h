// Opens a target (and a draft) and makes sessions. See docs/architecture.md for what happens inside.
#pragma once
#include <kakeya/chat.h>
#include <kakeya/options.h>
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya {

class Service;
class Session;
class SpeedProbe;
class TokenConstraint;
struct ConstraintSpec;
struct ServiceOptions;

struct ModelInfo {
  std::string id;  // last path component, or "tiny"
  std::string path;
  std::string sha256;        // of the weight files in name order; computed on first use of Engine::sha256()
  std::string dtype;         // of the matrices
  std::string architecture;  // "qwen3", "llama", "dflash"
  std::size_t parameters = 0, weight_bytes = 0;
  std::size_t layers = 0, hidden_size = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab_size = 0;
  std::size_t max_position_embeddings = 0;
  std::size_t block_size = 0;                 // drafts
  std::vector<std::size_t> target_layer_ids;  // drafts
  bool random_weights = false;                // made up to measure speed: what it writes means nothing
};

// Immutable after open; sessions may be used from different threads one at a time (they share the pool).
class Engine {
 public:
  // Errors: kNotFound (path), kCorruptData, kUnsupported (architecture, draft that does not fit, ISA name,
  // tool format that the tokens rule out), kInvalidArgument (options).
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  virtual ~Engine() = default;

  virtual const ModelInfo& target() const = 0;
  virtual const ModelInfo* draft() const = 0;  // null without a drafter
  virtual Result<std::string> target_sha256() const = 0;
  virtual Result<std::string> draft_sha256() const = 0;
  virtual int threads() const = 0;
  virtual std::string isa() const = 0;

  // parse_special: added tokens in the text become their ids.
  virtual Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const = 0;
  virtual std::string decode(std::span<const Token> ids, bool skip_special) const = 0;
  // Family chosen by the tokenizer's special tokens and the model's own template; an unknown one is refused
  // by name.
  virtual Result<std::string> render_chat(const ChatRequest& request) const = 0;
  // The rendered chat as tokens. Only the template's own special tokens become control tokens; the same text
  // inside a message or a tool is ordinary text, as in encode(text, false). Errors: as encode and
  // render_chat.
  virtual Result<std::vector<Token>> encode_chat(const ChatRequest& request) const = 0;
  // What the model's publisher asks for where a request says nothing (generation_config.json).
  virtual const SamplingDefaults& sampling_defaults() const = 0;
  // "qwen3", "qwen3-thinking", "qwen3-instruct", "qwen3-coder", "chatml", "llama3", "llama3.1", or "none".
  // Tools are known to all but "chatml" and "llama3".
  virtual std::string template_family() const = 0;
  virtual const std::vector<Token>& stop_ids() const = 0;

  virtual Result<std::unique_ptr<Session>> new_session(const SessionOptions& options) const = 0;
  // Takes all requests of this engine from now on; sessions beside it take turns with it. See
  // kakeya/service.h. Errors: as new_session, kInvalidArgument (slots, channels).
  virtual Result<std::unique_ptr<Service>> new_service(const ServiceOptions& options) const = 0;
  // Errors: kInvalidArgument (schema or grammar, with the place), kUnsupported (a keyword of JSON Schema that
  // cannot be kept, by name), kNotFound without a tokenizer. See kakeya/constraint.h.
  virtual Result<std::unique_ptr<TokenConstraint>> new_constraint(const ConstraintSpec& spec) const = 0;
  // The bytes that a token stands for: part of a UTF-8 character, or the name of a special token.
  virtual std::string token_bytes(Token id) const = 0;
  // Errors: as new_session. See kakeya/speed.h.
  virtual Result<std::unique_ptr<SpeedProbe>> new_speed_probe(const SessionOptions& options) const = 0;
};

// A tokenizer alone, without weights.
class TextCodec {
 public:
  // A directory, tokenizer.json or tokenizer.json.gz.
  static Result<std::unique_ptr<TextCodec>> open(const std::string& path);
  virtual ~TextCodec() = default;
  virtual Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const = 0;
  virtual std::string decode(std::span<const Token> ids, bool skip_special) const = 0;
  virtual Result<std::string> render_chat(const ChatRequest& request) const = 0;
};

// CPU variants this build and machine can run, scalar first, best last.
std::vector<std::string> available_isas();
// The directory that holds models/tiny and data/ (the embedded pair and sets): `hint` when not empty, else
// ../share/kakeya beside the binary, else the source tree this was built from. Errors: kNotFound with the
// places.
Result<std::string> find_share_dir(const std::string& hint);

}  // namespace kakeya
