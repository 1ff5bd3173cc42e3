// Equations and their traps: arXiv 2602.06036 and the z-lab reference. Context rows pass fc and hidden_norm
// once and no input_layernorm; their K gets k_norm and RoPE at its true position. Block rows see all context;
// inside the block full layers see everything, sliding layers are causal.
#include "model/dflash_draft.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "model/layer.h"
#include "model/random_weights.h"

namespace kakeya::model {
namespace {

class TransformerDraft final : public DFlashDraft {
 public:
  TransformerDraft(formats::ModelConfig config, formats::TensorStore store, const Model& target)
      : config_(std::move(config)),
        store_(std::move(store)),
        target_(target),
        rope_(config_.head_dim, config_.rope_theta, config_.rope_scaling) {}

  Status load_weights(WeightLoader& loader, const std::string& what);

  const formats::ModelConfig& config() const override { return config_; }
  const formats::TensorStore& tensors() const override { return store_; }
  std::string dtype() const override { return dtype_; }
  std::size_t parameters() const override { return parameters_; }
  std::size_t weight_bytes() const override { return model::weight_bytes(store_, owned_); }
  kv::KvShape kv_shape() const override { return {config_.layers, config_.kv_heads, config_.head_dim}; }
  ScratchPtr make_scratch() const override { return ScratchPtr(new Scratch()); }
  Status observe(const Compute& compute, Rows<const float> taps, kv::Cache& kv,
                 Scratch& scratch) const override;
  Status propose(const Compute& compute, Token anchor, std::size_t block, kv::Cache& kv, Scratch& scratch,
                 ForwardResult& result) const override;

 private:
  Status observe_chunk(const Compute& compute, Rows<const float> taps, kv::Cache& kv, Scratch& scratch) const;
  Status run_block(const Compute& compute, Token anchor, std::size_t block, kv::Cache& kv, Scratch& scratch,
                   ForwardResult& result) const;

  formats::ModelConfig config_;
  formats::TensorStore store_;
  const Model& target_;
  WeightMemory owned_;
  Rope rope_;
  Weight fc_;
  std::vector<LayerWeights> layers_;
  std::vector<float> hidden_norm_, norm_;
  std::string dtype_;
  std::size_t parameters_ = 0;
};

Error misfit(const std::string& draft, const char* key, const std::string& found,
             const std::string& expected) {
  return unsupported(fmt::format("{}: draft does not fit the target: {} is {}, the target has {}", draft, key,
                                 found, expected));
}

Status check_fit(const formats::ModelConfig& draft, const formats::ModelConfig& target,
                 const std::string& what) {
  if (draft.hidden_size != target.hidden_size) {
    return misfit(what, "hidden_size", fmt::to_string(draft.hidden_size), fmt::to_string(target.hidden_size));
  }
  if (draft.vocab_size != target.vocab_size) {
    return misfit(what, "vocab_size", fmt::to_string(draft.vocab_size), fmt::to_string(target.vocab_size));
  }
  const formats::DFlashConfig& dflash = *draft.dflash;
  if (dflash.num_target_layers != 0 && dflash.num_target_layers != target.layers) {
    return misfit(what, "num_target_layers", fmt::to_string(dflash.num_target_layers),
                  fmt::to_string(target.layers));
  }
  if (dflash.target_layer_ids.empty()) {
    return corrupt_data(fmt::format("{}: target_layer_ids is empty, expected at least one layer", what));
  }
  for (const std::size_t id : dflash.target_layer_ids) {
    // The reference taps the last layer after the final norm, every other layer before any norm: refused, not
    // guessed.
    if (id + 1 >= target.layers) {
      return misfit(what, "a tapped layer in target_layer_ids", fmt::to_string(id),
                    fmt::format("{} layers, of which 0 to {} can be tapped", target.layers,
                                target.layers < 2 ? 0 : target.layers - 2));
    }
  }
  if (dflash.mask_token_id < 0 || static_cast<std::size_t>(dflash.mask_token_id) >= target.vocab_size) {
    return misfit(what, "mask_token_id", fmt::to_string(dflash.mask_token_id),
                  fmt::format("a vocabulary of {}", target.vocab_size));
  }
  if (dflash.block_size < 2) {
    return corrupt_data(fmt::format("{}: block_size is {}, expected at least 2", what, dflash.block_size));
  }
  return {};
}

Status TransformerDraft::load_weights(WeightLoader& loader, const std::string& what) {
  KAKEYA_TRY(check_config(config_, what));
  KAKEYA_TRY(check_fit(config_, target_.config(), what));
  const std::size_t hidden = config_.hidden_size, taps = config_.dflash->target_layer_ids.size();
  KAKEYA_ASSIGN(fc_, loader.matrix("fc.weight", hidden, taps * hidden));
  KAKEYA_ASSIGN(hidden_norm_, loader.vector("hidden_norm.weight", hidden));
  for (std::size_t i = 0; i < config_.layers; ++i) {
    KAKEYA_ASSIGN(LayerWeights layer, load_layer(loader, config_, "", i));
    layers_.push_back(std::move(layer));
  }
  KAKEYA_ASSIGN(norm_, loader.vector("norm.weight", hidden));
  dtype_ = loader.matrix_dtype();
  parameters_ = loader.parameters();
  owned_ = loader.take_owned();
  return {};
}

Status TransformerDraft::observe(const Compute& compute, Rows<const float> taps, kv::Cache& kv,
                                 Scratch& scratch) const {
  KAKEYA_CHECK(taps.rows == 0 || taps.cols == fc_.in);
  const std::size_t start = kv.length();
  if (start + taps.rows > kv.max_tokens()) {
    return Error{ErrorCode::kOutOfMemory,
                 fmt::format("draft context: {} tokens, expected at most {} in this KV cache",
                             start + taps.rows, kv.max_tokens())};
  }
  scratch.reserve(config_, std::min(taps.rows, kMaxChunkRows));
  for (std::size_t first = 0; first < taps.rows; first += kMaxChunkRows) {
    const Status status =
        observe_chunk(compute, taps.sub(first, std::min(kMaxChunkRows, taps.rows - first)), kv, scratch);
    if (!status.ok()) {
      kv.rewind_to(start);
      return status;
    }
  }
  kv.commit(start + taps.rows);
  return {};
}

Status TransformerDraft::observe_chunk(const Compute& compute, Rows<const float> taps, kv::Cache& kv,
                                       Scratch& s) const {
  const std::size_t position = kv.length();
  const Rows<float> fused{s.projected.data(), taps.rows, config_.hidden_size};
  const Rows<float> context{s.normed.data(), taps.rows, config_.hidden_size};
  kernels::matmul(compute, fc_, taps, fused);
  const bool quantised = std::ranges::any_of(layers_, [](const LayerWeights& layer) {
    return kernels::is_quantised(layer.k.type) || kernels::is_quantised(layer.v.type);
  });
  const kernels::Operand operand =
      norm_rows(compute, fused, hidden_norm_, config_.rms_norm_eps, context,
                rounding_memory(compute, quantised, taps.rows, config_.hidden_size));
  fill_angles(rope_, position, 0, taps.rows, s);
  const Segment segment{&kv, 0, taps.rows};
  const Pass pass{config_, {&segment, 1}, s, taps.rows};
  for (std::size_t i = 0; i < config_.layers; ++i) {
    project_heads(compute, pass, layers_[i], operand, {});
    KAKEYA_TRY(kv.append(compute, i, Rows<const float>{s.k.data(), taps.rows, layers_[i].k.out},
                         Rows<const float>{s.v.data(), taps.rows, layers_[i].v.out}));
  }
  return {};
}

Status TransformerDraft::propose(const Compute& compute, Token anchor, std::size_t block, kv::Cache& kv,
                                 Scratch& scratch, ForwardResult& result) const {
  if (block < 2) return invalid_argument(fmt::format("draft: block of {}, expected at least 2", block));
  if (anchor < 0 || static_cast<std::size_t>(anchor) >= config_.vocab_size) {
    return invalid_argument(
        fmt::format("draft: token id {}, expected 0 to {}", anchor, config_.vocab_size - 1));
  }
  const std::size_t start = kv.length();
  if (start + block > kv.max_tokens()) {
    return Error{ErrorCode::kOutOfMemory,
                 fmt::format("draft block: {} tokens, expected at most {} in this KV cache", start + block,
                             kv.max_tokens())};
  }
  const Status status = run_block(compute, anchor, block, kv, scratch, result);
  kv.rewind_to(start);
  return status;
}

Status TransformerDraft::run_block(const Compute& compute, Token anchor, std::size_t block, kv::Cache& kv,
                                   Scratch& s, ForwardResult& result) const {
  const std::size_t start = kv.length(), width = config_.hidden_size, window = config_.sliding_window;
  s.reserve(config_, block);
  const Rows<float> hidden{s.hidden.data(), block, width};
  for (std::size_t r = 0; r < block; ++r) {
    const Token token = r == 0 ? anchor : config_.dflash->mask_token_id;
    compute.ops->load_row(target_.embedding(), static_cast<std::size_t>(token), hidden.row(r).data());
    const std::size_t seen = start + r + 1;
    s.full[r] = {0, start + block};
    s.sliding[r] = {seen > window ? seen - window : 0, seen};
  }
  fill_angles(rope_, start, 0, block, s);
  const Segment segment{&kv, 0, block};
  const Pass pass{config_, {&segment, 1}, s, block};
  for (std::size_t i = 0; i < config_.layers; ++i) {
    const std::size_t first_needed = i + 1 == config_.layers ? 1 : 0;  // the anchor's slot predicts nothing
    KAKEYA_TRY(run_layer(compute, pass, layers_[i], i, first_needed));
  }
  result.vocab = config_.vocab_size;
  result.logit_count = block - 1;
  result.tap_count = result.tap_width = 0;
  grow(result.logits_data, result.logit_count * result.vocab);
  const Rows<float> normed{s.normed.data(), block - 1, width};
  return project_logits(compute, {target_.head(), norm_, config_.rms_norm_eps, "draft logits", start + 1},
                        hidden.sub(1, block - 1), normed, result.logits());
}

}  // namespace

Result<std::unique_ptr<const DFlashDraft>> DFlashDraft::load(const std::string& path, const Model& target,
                                                             base::ThreadPool& pool) {
  if (is_random_model(path)) {
    KAKEYA_ASSIGN(RandomModel random, parse_random_model(path));
    if (!random.config.dflash) {
      return unsupported(fmt::format("{}: a target, expected a draft (...-dflash)", path));
    }
    auto draft = std::make_unique<TransformerDraft>(std::move(random.config), formats::TensorStore(), target);
    RandomWeights loader(random.type, pool);
    KAKEYA_TRY(draft->load_weights(loader, path));
    return std::unique_ptr<const DFlashDraft>(std::move(draft));
  }
  KAKEYA_ASSIGN(formats::ModelConfig config, formats::load_model_config(path));
  if (config.architecture != formats::Architecture::kDFlashDraft || !config.dflash) {
    return unsupported(fmt::format("{}: architecture {}, expected a DFlash draft (DFlashDraftModel)", path,
                                   formats::to_string(config.architecture)));
  }
  KAKEYA_ASSIGN(formats::TensorStore store, formats::TensorStore::open(path));
  auto draft = std::make_unique<TransformerDraft>(std::move(config), std::move(store), target);
  FileWeights loader(draft->tensors(), draft->config(), pool, path);
  KAKEYA_TRY(draft->load_weights(loader, path));
  return std::unique_ptr<const DFlashDraft>(std::move(draft));
}

}  // namespace kakeya::model
