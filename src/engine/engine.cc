// Opening an engine: files -> immutable state. Running it is session.cc.
#include <fmt/format.h>
#include <kakeya/constraint.h>
#include <kakeya/engine.h>
#include <kakeya/service.h>
#include <kakeya/session.h>

#include <algorithm>

#include "base/sha256.h"
#include "engine/constraint.h"
#include "engine/engine_state.h"
#include "engine/model_place.h"
#include "engine/speed_probe.h"
#include "model/random_weights.h"

namespace kakeya {
namespace engine {
namespace {

constexpr int kMaxThreads = 1024;

// The digest of a set of files, computed when first asked for.
class LazySha256 {
 public:
  Result<std::string> get(std::vector<std::string> files) {
    const std::lock_guard lock(mutex_);
    if (!value_) {
      std::sort(files.begin(), files.end());
      KAKEYA_ASSIGN(value_, base::sha256_files(files));
    }
    return *value_;
  }

 private:
  std::mutex mutex_;
  std::optional<std::string> value_;
};

template <class Loaded>
ModelInfo describe(const ModelPlace& place, const Loaded& model) {
  const formats::ModelConfig& config = model.config();
  ModelInfo info;
  info.id = place.id;
  info.path = place.directory;
  info.dtype = model.dtype();
  info.architecture = formats::to_string(config.architecture);
  info.parameters = model.parameters();
  info.weight_bytes = model.weight_bytes();
  info.layers = config.layers;
  info.hidden_size = config.hidden_size;
  info.heads = config.heads;
  info.kv_heads = config.kv_heads;
  info.head_dim = config.head_dim;
  info.vocab_size = config.vocab_size;
  info.max_position_embeddings = config.max_position_embeddings;
  info.random_weights = model::is_random_model(place.directory);
  if (config.dflash) {
    info.block_size = config.dflash->block_size;
    info.target_layer_ids = config.dflash->target_layer_ids;
  }
  return info;
}

Result<const kernels::Table*> choose_variant(const std::string& name) {
  if (name.empty()) return &kernels::best();
  if (const kernels::Table* table = kernels::find(name)) return table;
  std::string known;
  for (const std::string& isa : available_isas()) known += (known.empty() ? "" : ", ") + isa;
  return unsupported(fmt::format("CPU variant: found '{}', expected one of: {}", name, known));
}

// Null when the directory has no tokenizer: such a model runs on ids.
Result<std::unique_ptr<const text::Tokenizer>> load_tokenizer(const std::string& directory) {
  auto file = formats::load_tokenizer_file(directory);
  if (!file.ok() && file.error().code == ErrorCode::kNotFound)
    return std::unique_ptr<const text::Tokenizer>();
  if (!file.ok()) return file.error();
  KAKEYA_ASSIGN(auto tokenizer, text::Tokenizer::create(std::move(file).value()));
  return std::unique_ptr<const text::Tokenizer>(std::move(tokenizer));
}

// A family or tool format that was asked for must be there; one that is only guessed may be missing until it
// is needed. Where the model's template knows tools, <|eom_id|> ends a call of one (Llama-3.1), whether or
// not the files list it.
Status choose_family(const EngineOptions& options, EngineState& state) {
  const bool format_asked = !options.tool_format.empty() && options.tool_format != "auto";
  const bool asked = !options.chat_template.empty();
  if (asked && format_asked) {
    return invalid_argument(
        "found a chat template and a tool format, expected one of them: the template says "
        "how calls are written");
  }
  if (!state.tokenizer) {
    if (asked) return unsupported("chat template: the model has no tokenizer");
    if (format_asked) return invalid_argument("tool format: this model has no tokenizer, expected auto");
    return {};
  }
  state.chat_family = asked ? text::choose_template(*state.tokenizer, options.chat_template)
                            : text::detect_template(*state.tokenizer, options.tool_format);
  if (!state.chat_family.ok()) return asked || format_asked ? Status(state.chat_family.error()) : Status();
  const auto ends = state.tokenizer->token_id("<|eom_id|>");
  const bool listed =
      ends && std::find(state.stop_ids.begin(), state.stop_ids.end(), *ends) != state.stop_ids.end();
  if (*state.chat_family == text::TemplateFamily::kLlama31 && ends && !listed)
    state.stop_ids.push_back(*ends);
  return {};
}

Status load(const EngineOptions& options, EngineState& state) {
  KAKEYA_ASSIGN(const kernels::Table* variant, choose_variant(options.isa));
  state.compute = {variant, &state.pool};
  KAKEYA_ASSIGN(const ModelPlace place, find_model(options.target, Role::kTarget, options.share_dir));
  KAKEYA_ASSIGN(state.target, model::Model::load(place.directory, state.pool));
  state.target_info = describe(place, *state.target);
  if (!options.draft.empty()) {
    KAKEYA_ASSIGN(const ModelPlace draft, find_model(options.draft, Role::kDraft, options.share_dir));
    KAKEYA_ASSIGN(state.draft, model::DFlashDraft::load(draft.directory, *state.target, state.pool));
    state.draft_info = describe(draft, *state.draft);
  }
  if (model::is_random_model(place.directory)) return {};  // ids only, no stop ids
  KAKEYA_ASSIGN(state.tokenizer, load_tokenizer(place.directory));
  KAKEYA_ASSIGN(const formats::GenerationConfig generation, formats::load_generation_config(place.directory));
  state.stop_ids = generation.eos_token_ids;
  const std::size_t vocab = state.target->config().vocab_size;
  // A file may name ids that its own vocabulary has not; no step can ever choose one.
  std::erase_if(state.stop_ids, [&](Token id) { return id < 0 || static_cast<std::size_t>(id) >= vocab; });
  state.sampling_defaults = generation.sampling;
  return choose_family(options, state);
}

class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(std::shared_ptr<EngineState> state) : state_(std::move(state)) {}

  const ModelInfo& target() const override { return state_->target_info; }
  const ModelInfo* draft() const override { return state_->draft_info ? &*state_->draft_info : nullptr; }
  Result<std::string> target_sha256() const override {
    if (state_->target->tensors().files().empty()) return no_files(state_->target_info.id);
    return target_sha256_.get(state_->target->tensors().files());
  }
  Result<std::string> draft_sha256() const override {
    if (!state_->draft) return not_found("engine: it was opened without a draft");
    if (state_->draft->tensors().files().empty()) return no_files(state_->draft_info->id);
    return draft_sha256_.get(state_->draft->tensors().files());
  }
  int threads() const override { return state_->pool.threads(); }
  std::string isa() const override { return state_->compute.ops->name; }

  Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const override {
    if (!state_->tokenizer) return no_tokenizer();
    KAKEYA_ASSIGN(auto ids, state_->tokenizer->encode(text, parse_special));
    return with_bos(std::move(ids));
  }
  std::string decode(std::span<const Token> ids, bool skip_special) const override {
    return state_->tokenizer ? state_->tokenizer->decode(ids, skip_special) : std::string();
  }
  Result<std::string> render_chat(const ChatRequest& request) const override {
    if (!state_->tokenizer) return no_tokenizer();
    KAKEYA_ASSIGN(text::PromptText prompt, render(request));
    return std::move(prompt).text();
  }
  Result<std::vector<Token>> encode_chat(const ChatRequest& request) const override {
    if (!state_->tokenizer) return no_tokenizer();
    KAKEYA_ASSIGN(const text::PromptText prompt, render(request));
    KAKEYA_ASSIGN(auto ids, state_->tokenizer->encode(prompt));
    return with_bos(std::move(ids));
  }
  const SamplingDefaults& sampling_defaults() const override { return state_->sampling_defaults; }
  std::string token_bytes(Token id) const override {
    return state_->tokenizer ? state_->tokenizer->decode({&id, 1}, false) : std::string();
  }
  std::string template_family() const override {
    if (!state_->tokenizer) return "none";
    const auto& family = state_->chat_family;
    return family.ok() ? text::to_string(*family) : "none";
  }
  const std::vector<Token>& stop_ids() const override { return state_->stop_ids; }

  Result<std::unique_ptr<Session>> new_session(const SessionOptions& options) const override {
    return make_session(state_, options);
  }
  Result<std::unique_ptr<Service>> new_service(const ServiceOptions& options) const override {
    return make_service(state_, options);
  }
  Result<std::unique_ptr<TokenConstraint>> new_constraint(const ConstraintSpec& spec) const override {
    if (!state_->tokenizer) return no_tokenizer();
    return constraints_.make(*state_->tokenizer, state_->stop_ids, spec);
  }
  Result<std::unique_ptr<SpeedProbe>> new_speed_probe(const SessionOptions& options) const override {
    KAKEYA_ASSIGN(auto probe, SpeedProbeImpl::create(state_, options));
    return std::unique_ptr<SpeedProbe>(std::move(probe));
  }

 private:
  Result<text::PromptText> render(const ChatRequest& request) const {
    KAKEYA_ASSIGN(const auto family, state_->chat_family);
    return text::render_prompt(*state_->tokenizer, family, request);
  }
  static Error no_files(const std::string& id) {
    return not_found(fmt::format("{}: random weights come from no file, so they have no checksum", id));
  }
  std::vector<Token> with_bos(std::vector<Token> ids) const {
    const auto bos = state_->tokenizer->bos();
    if (bos && (ids.empty() || ids.front() != *bos)) ids.insert(ids.begin(), *bos);
    return ids;
  }
  Error no_tokenizer() const {
    return not_found(fmt::format("{}: no tokenizer.json and no GGUF tokenizer; this model runs on ids only",
                                 state_->target_info.path));
  }

  std::shared_ptr<EngineState> state_;
  mutable LazySha256 target_sha256_, draft_sha256_;
  mutable ConstraintMaker constraints_;
};

}  // namespace
}  // namespace engine

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  if (options.threads < 0 || options.threads > engine::kMaxThreads) {
    return invalid_argument(fmt::format("engine: threads is {}, expected 0 (all cores) to {}",
                                        options.threads, engine::kMaxThreads));
  }
  auto state =
      std::make_shared<engine::EngineState>(options.threads == 0 ? base::usable_cores() : options.threads);
  KAKEYA_TRY(engine::load(options, *state));
  return std::unique_ptr<Engine>(std::make_unique<engine::EngineImpl>(std::move(state)));
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const kernels::Table* table : kernels::available()) names.emplace_back(table->name);
  return names;
}

}  // namespace kakeya
