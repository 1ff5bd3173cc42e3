// Loading and the forward pass of Qwen3 and Llama targets. The layer itself is in layer.cc.
#include "model/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "model/layer.h"
#include "model/random_weights.h"
#include "model/rope.h"
#include "model/scratch.h"
#include "model/weights.h"

namespace kakeya::model {
namespace {

class TransformerModel final : public Model {
 public:
  TransformerModel(formats::ModelConfig config, formats::TensorStore store)
      : config_(std::move(config)),
        store_(std::move(store)),
        rope_(config_.head_dim, config_.rope_theta, config_.rope_scaling) {}

  Status load_weights(WeightLoader& loader, const std::string& what);

  const formats::ModelConfig& config() const override { return config_; }
  const formats::TensorStore& tensors() const override { return store_; }
  std::string dtype() const override { return dtype_; }
  bool quantised() const override { return kernels::is_quantised(layers_.front().q.type); }
  std::size_t parameters() const override { return parameters_; }
  std::size_t weight_bytes() const override { return model::weight_bytes(store_, owned_); }
  kv::KvShape kv_shape() const override { return {config_.layers, config_.kv_heads, config_.head_dim}; }
  const Weight& embedding() const override { return embedding_; }
  const Weight& head() const override { return head_; }
  ScratchPtr make_scratch() const override { return ScratchPtr(new Scratch()); }
  Status forward(const Compute& compute, const ForwardRequest& request, Scratch& scratch,
                 ForwardResult& result) const override;

 private:
  Status check_request(const ForwardRequest& request) const;
  // Rows [first, first + n) of the request; `start` is the position of the request's first token.
  Status forward_chunk(const Compute& compute, const ForwardRequest& request, std::size_t start,
                       std::size_t first, std::size_t n, Scratch& scratch, ForwardResult& result) const;
  Status copy_taps(const Compute& compute, const ForwardRequest& request, std::size_t layer,
                   std::size_t start, std::size_t first, Rows<const float> hidden,
                   ForwardResult& result) const;

  formats::ModelConfig config_;
  formats::TensorStore store_;
  WeightMemory owned_;
  Rope rope_;
  Weight embedding_, head_;
  std::vector<LayerWeights> layers_;
  std::vector<float> norm_;
  std::string dtype_;
  std::size_t parameters_ = 0;
};

Status TransformerModel::load_weights(WeightLoader& loader, const std::string& what) {
  KAKEYA_TRY(check_config(config_, what));
  const MatrixUse use = {.lookup_only = !config_.tie_word_embeddings};
  KAKEYA_ASSIGN(embedding_,
                loader.matrix("model.embed_tokens.weight", config_.vocab_size, config_.hidden_size, use));
  for (std::size_t i = 0; i < config_.layers; ++i) {
    KAKEYA_ASSIGN(LayerWeights layer, load_layer(loader, config_, "model.", i));
    layers_.push_back(std::move(layer));
  }
  KAKEYA_ASSIGN(norm_, loader.vector("model.norm.weight", config_.hidden_size));
  head_ = embedding_;
  if (!config_.tie_word_embeddings) {
    KAKEYA_ASSIGN(head_, loader.matrix("lm_head.weight", config_.vocab_size, config_.hidden_size));
  }
  dtype_ = loader.matrix_dtype();
  parameters_ = loader.parameters();
  owned_ = loader.take_owned();
  return {};
}

Status TransformerModel::check_request(const ForwardRequest& request) const {
  KAKEYA_CHECK(request.kv != nullptr);
  const kv::KvShape& shape = request.kv->shape();
  KAKEYA_CHECK(shape.layers == config_.layers && shape.kv_heads == config_.kv_heads &&
               shape.head_dim == config_.head_dim);
  if (request.tokens.empty()) return invalid_argument("forward pass: no tokens");
  for (const Token token : request.tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= config_.vocab_size) {
      return invalid_argument(
          fmt::format("forward pass: token id {}, expected 0 to {}", token, config_.vocab_size - 1));
    }
  }
  for (const std::size_t layer : request.tap_layers) {
    if (layer >= config_.layers) {
      return invalid_argument(
          fmt::format("forward pass: tapped layer {}, expected 0 to {}", layer, config_.layers - 1));
    }
  }
  const std::size_t end = request.kv->length() + request.tokens.size();
  if (end > request.kv->max_tokens()) {
    return Error{ErrorCode::kOutOfMemory,
                 fmt::format("forward pass: {} tokens, expected at most {} in this KV cache", end,
                             request.kv->max_tokens())};
  }
  return {};
}

Status TransformerModel::forward(const Compute& compute, const ForwardRequest& request, Scratch& scratch,
                                 ForwardResult& result) const {
  KAKEYA_TRY(check_request(request));
  const std::size_t n = request.tokens.size(), start = request.kv->length();
  result.vocab = config_.vocab_size;
  result.logit_count = request.logit_rows == LogitRows::kAll    ? n
                       : request.logit_rows == LogitRows::kLast ? 1
                                                                : 0;
  result.tap_count = request.tap_layers.empty() ? 0 : n;
  result.tap_width = request.tap_layers.size() * config_.hidden_size;
  grow(result.logits_data, result.logit_count * result.vocab);
  grow(result.taps_data, result.tap_count * result.tap_width);
  scratch.reserve(config_, std::min(n, kMaxChunkRows));
  for (std::size_t first = 0; first < n; first += kMaxChunkRows) {
    const Status status =
        forward_chunk(compute, request, start, first, std::min(kMaxChunkRows, n - first), scratch, result);
    if (!status.ok()) {
      request.kv->rewind_to(start);
      return status;
    }
  }
  return {};
}

Status TransformerModel::copy_taps(const Compute& compute, const ForwardRequest& request, std::size_t layer,
                                   std::size_t start, std::size_t first, Rows<const float> hidden,
                                   ForwardResult& result) const {
  const Rows<float> taps = result.taps();
  bool tapped = false;
  for (std::size_t t = 0; t < request.tap_layers.size(); ++t) {
    if (request.tap_layers[t] != layer) continue;
    tapped = true;
    for (std::size_t r = 0; r < hidden.rows; ++r) {
      std::ranges::copy(hidden.row(r),
                        taps.row(first + r).begin() + static_cast<std::ptrdiff_t>(t * hidden.cols));
    }
  }
  return tapped ? check_finite(compute, hidden, "tapped state", start + first) : Status{};
}

Status TransformerModel::forward_chunk(const Compute& compute, const ForwardRequest& request,
                                       std::size_t start, std::size_t first, std::size_t n, Scratch& s,
                                       ForwardResult& result) const {
  const std::size_t width = config_.hidden_size, position = start + first;
  const Rows<float> hidden{s.hidden.data(), n, width};
  for (std::size_t r = 0; r < n; ++r) {
    const auto token = static_cast<std::size_t>(request.tokens[first + r]);
    compute.ops->load_row(embedding_, token, hidden.row(r).data());
    const std::size_t seen = position + r + 1, window = config_.sliding_window;
    s.full[r] = {0, seen};
    s.sliding[r] = {seen > window ? seen - window : 0, seen};
  }
  fill_angles(rope_, position, n, s);

  // Rows of this chunk whose logits are asked for: [first_logit, n).
  const bool last_chunk = first + n == request.tokens.size();
  std::size_t first_logit = n;
  if (request.logit_rows == LogitRows::kAll) first_logit = 0;
  if (request.logit_rows == LogitRows::kLast && last_chunk) first_logit = n - 1;
  const bool last_tapped =
      std::ranges::find(request.tap_layers, config_.layers - 1) != request.tap_layers.end();

  const Pass pass{config_, *request.kv, s, n};
  for (std::size_t i = 0; i < config_.layers; ++i) {
    // Nothing reads the last layer's output except logits and its tap.
    const std::size_t first_needed = i + 1 == config_.layers && !last_tapped ? first_logit : 0;
    KAKEYA_TRY(run_layer(compute, pass, layers_[i], i, first_needed));
    KAKEYA_TRY(copy_taps(compute, request, i, start, first, hidden, result));
  }
  const std::size_t rows = n - first_logit;
  if (rows == 0) return {};
  const Rows<float> normed{s.normed.data(), rows, width};
  const std::size_t row = request.logit_rows == LogitRows::kAll ? first : 0;
  return project_logits(compute, {head_, norm_, config_.rms_norm_eps, "logits", position + first_logit},
                        hidden.sub(first_logit, rows), normed, result.logits().sub(row, rows));
}

}  // namespace

Result<std::unique_ptr<const Model>> Model::load(const std::string& path, base::ThreadPool& pool) {
  if (is_random_model(path)) {
    KAKEYA_ASSIGN(RandomModel random, parse_random_model(path));
    if (random.config.dflash) return unsupported(fmt::format("{}: a draft, expected a target", path));
    auto model = std::make_unique<TransformerModel>(std::move(random.config), formats::TensorStore());
    RandomWeights loader(random.type, pool);
    KAKEYA_TRY(model->load_weights(loader, path));
    return std::unique_ptr<const Model>(std::move(model));
  }
  KAKEYA_ASSIGN(formats::ModelConfig config, formats::load_model_config(path));
  if (config.architecture == formats::Architecture::kDFlashDraft) {
    return unsupported(
        fmt::format("{}: architecture {}, expected a target (qwen3 or llama); it may be the draft", path,
                    formats::to_string(config.architecture)));
  }
  KAKEYA_ASSIGN(formats::TensorStore store, formats::TensorStore::open(path));
  auto model = std::make_unique<TransformerModel>(std::move(config), std::move(store));
  FileWeights loader(model->tensors(), model->config(), pool, path);
  KAKEYA_TRY(model->load_weights(loader, path));
  return std::unique_ptr<const Model>(std::move(model));
}

}  // namespace kakeya::model
