// Equations and their traps: arXiv 2602.06036 and the z-lab reference. Context rows pass fc and hidden_norm
// once and no input_layernorm; their K gets k_norm and RoPE at its true position. Block rows see all context;
// inside the block full layers see everything, sliding layers are causal.
#include "model/dflash_draft.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "model/draft_fit.h"
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
  using DFlashDraft::observe;
  using DFlashDraft::propose;
  Status observe(const Compute& compute, std::span<const ObserveRequest> requests,
                 Scratch& scratch) const override;
  Status propose(const Compute& compute, std::span<const BlockRequest> requests, Scratch& scratch,
                 std::span<ForwardResult* const> results) const override;

 private:
  Status check_block(const BlockRequest& request) const;
  void embed_block(const Compute& compute, Token anchor, const Segment& block, Scratch& scratch) const;
  Status observe_chunk(const Compute& compute, Rows<const float> taps, std::span<const Segment> segments,
                       Scratch& scratch) const;
  Status run_blocks(const Compute& compute, std::span<const BlockRequest> requests, Scratch& scratch,
                    std::span<ForwardResult* const> results) const;
  Status run_logits(const Compute& compute, std::span<const BlockRequest> requests, Scratch& scratch,
                    std::span<ForwardResult* const> results) const;

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

// The taps of all sequences, one after the other.
Rows<const float> gather_taps(std::span<const ObserveRequest> requests, Scratch& scratch) {
  std::size_t rows = 0, cols = 0, at = 0;
  for (const ObserveRequest& request : requests) {
    rows += request.taps.rows;
    cols = std::max(cols, request.taps.cols);
  }
  grow(scratch.taps, rows * cols);
  for (const ObserveRequest& request : requests) {
    for (std::size_t r = 0; r < request.taps.rows; ++r, ++at) {
      std::ranges::copy(request.taps.row(r), scratch.taps.begin() + static_cast<std::ptrdiff_t>(at * cols));
    }
  }
  return {scratch.taps.data(), rows, cols};
}

Status TransformerDraft::load_weights(WeightLoader& loader, const std::string& what) {
  KAKEYA_TRY(check_draft_fit(config_, target_.config(), what));
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

Status TransformerDraft::observe(const Compute& compute, std::span<const ObserveRequest> requests,
                                 Scratch& scratch) const {
  KAKEYA_CHECK(!requests.empty() && requests.size() <= kMaxSequences);
  std::array<Segment, kMaxSequences> memory;
  const std::span<Segment> segments = std::span(memory).first(requests.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const ObserveRequest& request = requests[i];
    KAKEYA_CHECK(request.taps.rows == 0 || request.taps.cols == fc_.in);
    const std::size_t end = request.kv->length() + request.taps.rows;
    if (end > request.kv->max_tokens()) {
      return Error{ErrorCode::kOutOfMemory,
                   fmt::format("draft context: {} tokens, expected at most {} in this KV cache", end,
                               request.kv->max_tokens())};
    }
    segments[i] = {request.kv, total, request.taps.rows, request.kv->length()};
    total += request.taps.rows;
  }
  const bool alone = requests.size() == 1;
  KAKEYA_CHECK(alone || total <= kMaxChunkRows);
  scratch.reserve(config_, std::min(total, kMaxChunkRows));

  Status status;
  if (!alone && total > 0) status = observe_chunk(compute, gather_taps(requests, scratch), segments, scratch);
  for (std::size_t first = 0; alone && status.ok() && first < total; first += kMaxChunkRows) {
    const std::size_t rows = std::min(kMaxChunkRows, total - first);
    const Segment chunk{segments[0].kv, 0, rows, segments[0].start + first};
    status = observe_chunk(compute, requests[0].taps.sub(first, rows), {&chunk, 1}, scratch);
  }
  for (const Segment& segment : segments) {
    if (status.ok()) {
      segment.kv->commit(segment.start + segment.rows);
    } else {
      segment.kv->rewind_to(segment.start);
    }
  }
  return status;
}

// `taps`: the rows of all segments.
Status TransformerDraft::observe_chunk(const Compute& compute, Rows<const float> taps,
                                       std::span<const Segment> segments, Scratch& s) const {
  const Rows<float> fused{s.projected.data(), taps.rows, config_.hidden_size};
  const Rows<float> context{s.normed.data(), taps.rows, config_.hidden_size};
  kernels::matmul(compute, fc_, taps, fused);
  kernels::OperandForms forms;
  for (const LayerWeights& layer : layers_) {
    forms.add(*compute.ops, layer.k);
    forms.add(*compute.ops, layer.v);
  }
  const kernels::Operand operand = norm_rows(compute, fused, hidden_norm_, config_.rms_norm_eps, context,
                                             operand_memory(compute, forms, taps.rows, config_.hidden_size));
  for (const Segment& segment : segments) fill_angles(rope_, segment.start, segment.first, segment.rows, s);
  const Pass pass{config_, segments, s, taps.rows};
  for (std::size_t i = 0; i < config_.layers; ++i) {
    project_heads(compute, pass, layers_[i], operand, {});
    KAKEYA_TRY(append_rows(compute, pass, layers_[i], i));
  }
  return {};
}

Status TransformerDraft::check_block(const BlockRequest& request) const {
  if (request.block < 2) {
    return invalid_argument(fmt::format("draft: block of {}, expected at least 2", request.block));
  }
  if (request.anchor < 0 || static_cast<std::size_t>(request.anchor) >= config_.vocab_size) {
    return invalid_argument(
        fmt::format("draft: token id {}, expected 0 to {}", request.anchor, config_.vocab_size - 1));
  }
  const std::size_t end = request.kv->length() + request.block;
  if (end <= request.kv->max_tokens()) return {};
  return Error{ErrorCode::kOutOfMemory,
               fmt::format("draft block: {} tokens, expected at most {} in this KV cache", end,
                           request.kv->max_tokens())};
}

Status TransformerDraft::propose(const Compute& compute, std::span<const BlockRequest> requests,
                                 Scratch& scratch, std::span<ForwardResult* const> results) const {
  KAKEYA_CHECK(!requests.empty() && requests.size() == results.size() && requests.size() <= kMaxSequences);
  std::array<std::size_t, kMaxSequences> starts{};
  for (std::size_t i = 0; i < requests.size(); ++i) {
    KAKEYA_TRY(check_block(requests[i]));
    starts[i] = requests[i].kv->length();
  }
  const Status status = run_blocks(compute, requests, scratch, results);
  for (std::size_t i = 0; i < requests.size(); ++i) requests[i].kv->rewind_to(starts[i]);
  return status;
}

Status TransformerDraft::run_blocks(const Compute& compute, std::span<const BlockRequest> requests,
                                    Scratch& s, std::span<ForwardResult* const> results) const {
  std::array<Segment, kMaxSequences> segments;
  std::size_t rows = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    segments[i] = {requests[i].kv, rows, requests[i].block, requests[i].kv->length()};
    rows += requests[i].block;
  }
  KAKEYA_CHECK(requests.size() == 1 || rows <= kMaxChunkRows);
  s.reserve(config_, rows);
  for (std::size_t i = 0; i < requests.size(); ++i) embed_block(compute, requests[i].anchor, segments[i], s);
  const Pass pass{config_, std::span(segments).first(requests.size()), s, rows};
  for (std::size_t i = 0; i < config_.layers; ++i) {
    // The anchor's slot predicts nothing; those of later sequences are computed with the rest.
    KAKEYA_TRY(run_layer(compute, pass, layers_[i], i, i + 1 == config_.layers ? 1 : 0));
  }
  return run_logits(compute, requests, s, results);
}

void TransformerDraft::embed_block(const Compute& compute, Token anchor, const Segment& block,
                                   Scratch& s) const {
  const std::size_t width = config_.hidden_size, window = config_.sliding_window;
  for (std::size_t r = 0; r < block.rows; ++r) {
    const Token token = r == 0 ? anchor : config_.dflash->mask_token_id;
    compute.ops->load_row(target_.embedding(), static_cast<std::size_t>(token),
                          s.hidden.data() + (block.first + r) * width);
    const std::size_t seen = block.start + r + 1;
    s.full[block.first + r] = {0, block.start + block.rows};
    s.sliding[block.first + r] = {seen > window ? seen - window : 0, seen};
  }
  fill_angles(rope_, block.start, block.first, block.rows, s);
}

Status TransformerDraft::run_logits(const Compute& compute, std::span<const BlockRequest> requests,
                                    Scratch& s, std::span<ForwardResult* const> results) const {
  const std::size_t width = config_.hidden_size, start = requests.front().kv->length();
  std::size_t at = 0, rows = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::size_t wanted = requests[i].block - 1;
    ForwardResult& result = *results[i];
    result.vocab = config_.vocab_size;
    result.logit_count = wanted;
    result.tap_count = result.tap_width = 0;
    result.shared_logits = nullptr;
    // All rows but the anchors', one after the other.
    if (requests.size() > 1) {
      std::copy_n(s.hidden.data() + (at + 1) * width, wanted * width, s.projected.data() + rows * width);
    }
    at += requests[i].block;
    rows += wanted;
  }
  ForwardResult& first = *results.front();
  const bool alone = requests.size() == 1;
  grow(alone ? first.logits_data : s.logits, rows * config_.vocab_size);
  std::size_t row = 0;
  for (std::size_t i = 0; !alone && i < requests.size(); ++i) {
    results[i]->shared_logits = s.logits.data() + row * config_.vocab_size;
    row += requests[i].block - 1;
  }
  const float* hidden = alone ? s.hidden.data() + width : s.projected.data();
  return project_logits(compute, {target_.head(), norm_, config_.rms_norm_eps, "draft logits", start + 1},
                        {hidden, rows, width}, {s.normed.data(), rows, width},
                        {first.logits().data, rows, config_.vocab_size});
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
