#include "acceptance/sdk_engine.h"

#include <fmt/format.h>
#include <kakeya/chat.h>
#include <kakeya/codec.h>
#include <kakeya/engine.h>
#include <kakeya/session.h>

#include "acceptance/prompt_style.h"

namespace kakeya::acceptance {
namespace {

ModelFacts model_facts(const ModelInfo& info, std::string sha256) {
  return {.id = info.id,
          .path = info.path,
          .sha256 = std::move(sha256),
          .dtype = info.dtype,
          .architecture = info.architecture,
          .parameters = info.parameters,
          .weight_bytes = info.weight_bytes,
          .layers = info.layers,
          .kv_heads = info.kv_heads,
          .head_dim = info.head_dim,
          .context = info.max_position_embeddings,
          .block_size = info.block_size};
}

KvFacts kv_facts(const KvLedger& ledger) {
  KvFacts kv{.codes_bytes = ledger.codes_bytes,
             .side_bytes = ledger.side_bytes,
             .scratch_bytes = ledger.scratch_bytes,
             .peak_bytes = ledger.peak_bytes,
             .vectors_capacity = ledger.vectors_capacity,
             .vectors_stored = ledger.vectors_stored,
             .codec_fired = {},
             .skip_fired = {}};
  for (const LayerKv& layer : ledger.layers) {
    kv.codec_fired.push_back({layer.codec_fired_calls, layer.codec_fired_vectors});
    kv.skip_fired.push_back({layer.skip_fired_calls, layer.skip_fired_vectors});
  }
  return kv;
}

class SdkEngine final : public BenchEngine {
 public:
  SdkEngine(std::unique_ptr<Engine> engine, ModelFacts target, ModelFacts draft)
      : engine_(std::move(engine)), target_(std::move(target)), draft_(std::move(draft)) {}

  const char* kind() const override { return "kakeya"; }
  const ModelFacts& target() const override { return target_; }
  const ModelFacts& draft() const override { return draft_; }
  int threads() const override { return engine_->threads(); }
  std::string isa() const override { return engine_->isa(); }
  const std::vector<Token>& stop_ids() const override { return engine_->stop_ids(); }

  Result<ChannelFacts> channel(const std::string& name, const GenerationSettings& settings) const override {
    KAKEYA_ASSIGN(const ChannelInfo info, channel_info(name, target_.head_dim));
    KAKEYA_ASSIGN(const std::unique_ptr<Session> session, new_session(name, settings));
    const KvLedger ledger = session->ledger().target;
    ChannelFacts facts{info.name,         info.lattice,      info.q_range,           info.bits_allocated,
                       info.bits_formula, settings.boundary, settings.draft_channel, {}};
    if (ledger.bits_allocated > 0) facts.bits_allocated = ledger.bits_allocated;
    for (const LayerKv& layer : ledger.layers) facts.layers.push_back(layer.channel);
    return facts;
  }

  Result<Prompt> prompt(const Problem& problem, PromptStyle style) const override {
    const PromptText text = prompt_text(problem, style);
    Prompt prompt;
    if (!text.chat) {
      prompt.template_name = "raw";
      KAKEYA_ASSIGN(prompt.ids, engine_->encode(text.text, false));
      return prompt;
    }
    ChatRequest request;
    request.messages.push_back(
        {.role = "user", .content = text.text, .reasoning_content = {}, .tool_calls = {}});
    request.enable_thinking = false;
    request.date_string = "26 Jul 2024";  // a prompt of Llama-3.2 must not depend on the day
    KAKEYA_ASSIGN(const std::string rendered, engine_->render_chat(request));
    prompt.template_name = engine_->template_family();
    KAKEYA_ASSIGN(prompt.ids, engine_->encode(rendered, true));
    return prompt;
  }

  Result<FreePart> free_run(const std::string& channel, const Prompt& prompt, std::size_t max_tokens,
                            const GenerationSettings& settings, const StopSignal& stop) override {
    KAKEYA_ASSIGN(const std::unique_ptr<Session> session, new_session(channel, settings));
    GenerateOptions options;
    options.max_tokens = static_cast<int>(max_tokens);
    options.sampling.temperature = settings.temperature;
    options.sampling.seed = settings.seed;
    options.speculation = Speculation::kFixed;  // acceptance is measured on full blocks, not on chosen widths
    options.block_size = settings.block_size;
    options.verify_width = settings.verify_width;
    const EventSink sink = [&](std::string_view, std::span<const Token>) { return !stop(); };
    KAKEYA_ASSIGN(Generation generation, session->generate(prompt.ids, options, sink));
    if (generation.finish == FinishReason::kCancelled) return Error{ErrorCode::kCancelled, "stopped"};

    FreePart part;
    part.output_ids = std::move(generation.ids);
    part.text = std::move(generation.text);
    part.finish_reason = to_string(generation.finish);
    part.cycles = std::move(generation.cycles);
    part.target_forwards = generation.target_forwards;
    part.ttft_ms = generation.timings.ttft_ms;
    part.decode_ms = generation.timings.decode_ms;
    part.draft_ms = generation.timings.draft_ms;
    part.verify_ms = generation.timings.verify_ms;
    const MemoryLedger ledger = session->ledger();
    part.memory = {kv_facts(ledger.target), kv_facts(ledger.draft), ledger.taps_bytes,
                   ledger.model_scratch_bytes};
    return part;
  }

  Result<ForcedPart> forced_run(const std::string& channel, const Prompt& prompt,
                                const std::vector<Token>& reference, const std::vector<std::size_t>& anchors,
                                const GenerationSettings& settings) override {
    KAKEYA_ASSIGN(const std::unique_ptr<Session> session, new_session(channel, settings));
    const ForcedRequest request{prompt.ids, reference, anchors, settings.block_size, settings.verify_width};
    KAKEYA_ASSIGN(ForcedResult result, session->forced_reference(request));
    ForcedPart part;
    part.reference_sha256 = ids_sha256(reference);
    part.reference_tokens = reference.size();
    part.anchors = std::move(result.anchors);
    part.positions = result.positions;
    part.top1_agree = result.top1_agree;
    part.kl_sum = result.kl_sum;
    part.nll_sum = result.nll_sum;
    part.nll_baseline_sum = result.nll_baseline_sum;
    part.first_divergence = result.first_divergence;
    return part;
  }

 private:
  Result<std::unique_ptr<Session>> new_session(const std::string& channel,
                                               const GenerationSettings& settings) const {
    SessionOptions options;
    options.kv = channel;
    options.draft_kv = settings.draft_channel;
    options.boundary = settings.boundary;
    options.max_tokens = settings.context_tokens;
    return engine_->new_session(options);
  }

  std::unique_ptr<Engine> engine_;
  ModelFacts target_, draft_;
};

}  // namespace

Result<std::unique_ptr<BenchEngine>> open_sdk_engine(const EngineOptions& options) {
  KAKEYA_ASSIGN(std::unique_ptr<Engine> engine, Engine::open(options));
  if (engine->draft() == nullptr) {
    return invalid_argument(
        fmt::format("open {}: acceptance needs a draft and none was given", options.target));
  }
  KAKEYA_ASSIGN(std::string target_sha256, engine->target_sha256());
  KAKEYA_ASSIGN(std::string draft_sha256, engine->draft_sha256());
  ModelFacts target = model_facts(engine->target(), std::move(target_sha256));
  ModelFacts draft = model_facts(*engine->draft(), std::move(draft_sha256));
  return std::unique_ptr<BenchEngine>(
      std::make_unique<SdkEngine>(std::move(engine), std::move(target), std::move(draft)));
}

}  // namespace kakeya::acceptance
